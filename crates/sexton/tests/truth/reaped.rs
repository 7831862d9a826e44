//! What Sexton does to a leak does not change what it says of it: the waits that a reap makes
//! count in `cminflt` as the parent's own.

use std::process::Command;

use sexton_lab::{Skip, wait_until};

use crate::scenario::Category::OwnChildren;
use crate::scenario::{Scenario, Scene, Verdict, explain, tell};
use crate::situation::{Situation, python, which, zombies_of};

const PYTHON: &str = "
import subprocess, time
kept = []
while True:
    kept.append(subprocess.Popen(['true']))
    time.sleep(2)
";

const RUBY: &str = "loop { spawn('true'); sleep 2 }";

pub(crate) fn scenarios() -> Vec<Scenario> {
    vec![
        of("python", || Situation::pid1(&[&python()?, "-c", PYTHON])),
        of("ruby", || Situation::pid1(&[&which("ruby")?, "-e", RUBY])),
    ]
}

fn of(name: &str, start: impl Fn() -> Result<Situation, Skip> + Send + 'static) -> Scenario {
    Scenario {
        name: format!("{name}, before and after a reap"),
        category: OwnChildren,
        start: Box::new(move || Ok(Box::new(Reaped(start()?)))),
    }
}

struct Reaped(Situation);

impl Scene for Reaped {
    fn judge(self: Box<Self>) -> Verdict {
        match self.before_and_after() {
            Ok(verdict) => verdict,
            Err(said) => Verdict::failed(said),
        }
    }
}

impl Reaped {
    fn before_and_after(&self) -> Result<Verdict, String> {
        let holder = self.0.holder;
        let before = explain(holder)?;
        let reap = Command::new(env!("CARGO_BIN_EXE_sexton"))
            .args(["reap", &holder.to_string(), "--yes", "--allow-host"])
            .args(["--settle", "0"])
            .output()
            .expect("sexton was built");
        wait_until("it leaks again", || {
            (zombies_of(holder).len() >= 3).then_some(())
        });
        let after = explain(holder)?;
        let first = |causes: &[(String, String)]| causes.first().map(|(id, _)| id.clone());
        let same = first(&before).is_some() && first(&before) == first(&after);
        Ok(Verdict {
            right: reap.status.success() && same,
            high_and_wrong: false,
            said: format!("{} -> {}", tell(&before), tell(&after)),
        })
    }
}
