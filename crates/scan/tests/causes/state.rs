//! The holder cannot run, or the zombies are not its own to wait for.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use sexton_core::Confidence::{High, Medium};
use sexton_core::holder::HoldsAs;
use sexton_lab::{Running, Skip, require, require_root, wait_until};

use crate::situation::{Situation, kill, parent, python, source, zombies_of};

fn leaking() -> Result<Situation, Skip> {
    let parent = parent()?;
    let situation = Situation::child(&[parent.to_str().unwrap(), "own", "child", "3"]);
    wait_until("three zombies", || {
        (zombies_of(situation.holder).len() == 3).then_some(())
    });
    Ok(situation)
}

#[test]
fn stopped_holder() {
    let Some(situation) = require(leaking()) else {
        return;
    };
    kill(situation.holder, Signal::STOP);
    wait_until("it is stopped", || state(situation.holder, 'T'));
    situation
        .diagnose(3)
        .is("holder-stopped", High)
        .says("state T")
        .is_not("parent-never-waits");
    // The same program that runs is not said to be stopped.
    kill(situation.holder, Signal::CONT);
    wait_until("it goes on", || state(situation.holder, 'S'));
    situation.diagnose(3).is_not("holder-stopped");
}

/// A cgroup with a freezer, v1 or v2; thawed and removed on drop.
struct Freezer(PathBuf, Situation);

impl Freezer {
    fn around(situation: Situation) -> Result<Self, Skip> {
        require_root()?;
        let name = format!("sexton-test-frozen-{}", std::process::id());
        let v1 = PathBuf::from("/sys/fs/cgroup/freezer");
        let v2 = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(PathBuf::from);
        let root = [v1]
            .into_iter()
            .chain(
                v2.into_iter()
                    .filter(|root| root.join("cgroup.procs").is_file()),
            )
            .find(|root| root.is_dir())
            .ok_or_else(|| Skip("no cgroup with a freezer".to_owned()))?;
        let dir = root.join(name);
        fs::create_dir(&dir).map_err(|error| Skip(format!("{}: {error}", dir.display())))?;
        let freezer = Self(dir, situation);
        fs::write(freezer.0.join("cgroup.procs"), freezer.1.holder.to_string()).unwrap();
        freezer.set(true);
        Ok(freezer)
    }

    /// The command that thaws it.
    fn thaws(&self) -> String {
        let v1 = self.0.join("freezer.state");
        match v1.exists() {
            true => format!("echo THAWED > {}", v1.display()),
            false => format!("echo 0 > {}", self.0.join("cgroup.freeze").display()),
        }
    }

    fn set(&self, frozen: bool) {
        let v1 = self.0.join("freezer.state");
        if v1.exists() {
            fs::write(v1, if frozen { "FROZEN" } else { "THAWED" }).unwrap();
        } else {
            fs::write(self.0.join("cgroup.freeze"), if frozen { "1" } else { "0" }).unwrap();
        }
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.set(false);
        kill(self.1.holder, Signal::KILL);
        wait_until("the cgroup is empty", || {
            fs::remove_dir(&self.0)
                .ok()
                .or_else(|| (!self.0.exists()).then_some(()))
        });
    }
}

#[test]
fn frozen_holder() {
    let Some(freezer) = require(leaking().and_then(Freezer::around)) else {
        return;
    };
    let situation = &freezer.1;
    wait_until("the scan sees it", || {
        let diagnosis = situation.diagnose(3);
        diagnosis.facts.leak.holder.frozen.then_some(())
    });
    situation
        .diagnose(3)
        .is("holder-frozen", High)
        .says("frozen")
        .advises(&freezer.thaws())
        .is_not("holder-uninterruptible");
}

#[test]
fn uninterruptible_holder() {
    // A parent in vfork is in D until its child calls exec or ends.
    let Some(parent) = require(parent()) else {
        return;
    };
    let situation = Situation::child(&[parent.to_str().unwrap(), "vfork", "child", "3"]);
    wait_until("it is in D", || state(situation.holder, 'D'));
    let child = wait_until("the child of vfork", || live_child(situation.holder));
    situation
        .diagnose(3)
        .is("holder-uninterruptible", Medium)
        .says("state D")
        .says(&format!("(pid {child}) runs in its memory"))
        .says("/wchan");
    kill(child, Signal::KILL);
}

#[test]
fn traced_holder() {
    let Some(mut situation) = require(leaking()) else {
        return;
    };
    let Some(tracer) = require(tracer("stop", situation.holder)) else {
        return;
    };
    let pid = tracer.pid();
    situation.keep(tracer);
    wait_until("it is stopped by its tracer", || {
        state(situation.holder, 't')
    });
    situation
        .diagnose(3)
        .is("holder-traced", High)
        .says(&format!("pid {pid}"))
        .is_not("holder-stopped");
}

#[test]
fn zombies_held_by_tracer() {
    let Some(parent) = require(parent()) else {
        return;
    };
    // The parent waits for its child, and would reap it.
    let mut real_parent = Command::new("sh");
    real_parent.args(["-c", "sleep 1000; :"]);
    let real_parent = Running::start(&mut real_parent);
    let child = wait_until("its child", || live_child(real_parent.pid()));
    let Some(tracer) = require(tracer("hold", child)) else {
        return;
    };
    kill(child, Signal::KILL);
    wait_until("it is a zombie", || state(child, 'Z'));

    let mut situation = Situation::child(&[parent.to_str().unwrap(), "idle"]);
    situation.holder = tracer.pid();
    situation.keep(tracer);
    let mut scanner = sexton_scan::Scanner::new(sexton_scan::Roots::default()).unwrap();
    let leak = situation.leak(&mut scanner);
    assert_eq!((leak.holder.holds_as, leak.zombies), (HoldsAs::Tracer, 1));
    let facts = sexton_scan::facts::gather(&mut scanner, &leak).unwrap();
    let causes = sexton_core::cause::diagnose(&facts);
    assert_eq!(causes[0].id, "zombies-held-by-tracer", "{facts:#?}");
    assert_eq!(causes[0].confidence, High);
}

#[test]
fn not_known() {
    // It ends between the scan and the look at it.
    let Some(situation) = require(leaking()) else {
        return;
    };
    let mut scanner = sexton_scan::Scanner::new(sexton_scan::Roots::default()).unwrap();
    let leak = situation.leak(&mut scanner);
    drop(situation);
    let facts = sexton_scan::facts::gather(&mut scanner, &leak).unwrap();
    assert_eq!(facts.notes, ["the holder has ended"]);
    let causes = sexton_core::cause::diagnose(&facts);
    assert_eq!(causes[0].id, "not-known", "{causes:#?}");
}

fn tracer(what: &str, pid: u32) -> Result<Running, Skip> {
    require_root()?;
    let mut command = Command::new(python()?);
    command
        .args([&source("trace.py"), what, &pid.to_string()])
        .stdout(Stdio::piped());
    let mut tracer = Running::start(&mut command);
    let mut said = [0; 7];
    let out = tracer.child().stdout.as_mut().unwrap();
    match std::io::Read::read_exact(out, &mut said) {
        Ok(()) => Ok(tracer),
        Err(_) => Err(Skip("ptrace is not allowed here".to_owned())),
    }
}

fn state(pid: u32, letter: char) -> Option<()> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit_once(") ")?.1;
    after.starts_with(letter).then_some(())
}

fn live_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .find(|&child| state(child, 'Z').is_none())
}
