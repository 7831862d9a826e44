//! A real reap, of a holder that the doctor starts itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use sexton_core::check::Check;
use sexton_core::text::{self, millis};
use sexton_reap::{End, Options, Plan};
use sexton_scan::Scanner;

use crate::error::Error;

/// The holder: this executable under that `argv[0]`.
pub const HOLDER: &str = "doctor-holder";
/// Its children: they end at once.
pub const CHILD: &str = "doctor-child";
const CHILDREN: usize = 3;
const NAME: &str = "real reap";
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts children, waits for none, and sleeps until the doctor closes its standard input: it
/// ends too when the doctor is killed.
pub fn hold() -> ExitCode {
    for _ in 0..CHILDREN {
        let child = itself(CHILD).stdin(Stdio::null()).spawn();
        let Ok(child) = child else {
            return ExitCode::FAILURE;
        };
        drop(child);
    }
    let told = writeln!(io::stdout(), "ready").and_then(|()| io::stdout().flush());
    if told.is_err() {
        return ExitCode::FAILURE;
    }
    let _ = io::stdin().read(&mut [0]);
    ExitCode::SUCCESS
}

fn itself(name: &str) -> Command {
    // The own /proc, even where `--path-procfs` says another.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name);
    command
}

/// Takes it down whatever happens.
struct Holder(Child);

impl Holder {
    fn start() -> io::Result<Self> {
        let mut child = itself(HOLDER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let holder = Self(child);
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout.take(16)).read_line(&mut line)?;
        }
        match line.as_str() {
            "ready\n" => Ok(holder),
            _ => Err(io::Error::other("it could not start children of its own")),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The check.
pub fn check(scanner: &mut Scanner) -> Check {
    let holder = match Holder::start() {
        Ok(holder) => holder,
        Err(cause) => {
            // `sexton reap` itself starts no process: what fails here says nothing of it.
            return Check::warning(
                NAME,
                format!(
                    "not tried, no process can be started for it: {}",
                    text::os(&cause)
                ),
                "If fork fails here, see which limit is reached: sexton limits --all.",
            );
        }
    };
    match reap(scanner, holder.0.id()) {
        Ok(micros) => {
            let time = millis(micros);
            let found = format!("{CHILDREN} zombies of a process made for it, taken in {time}");
            Check::ok(NAME, found)
        }
        Err(why) => Check::failed(
            NAME,
            why,
            "Mend what is not ok above, or see docs/doctor.md; scan, explain and limits may work \
             all the same.",
        ),
    }
}

fn reap(scanner: &mut Scanner, pid: u32) -> Result<u64, String> {
    let plan = planned(scanner, pid)?;
    if let Some(refusal) = &plan.refusal {
        return Err(format!("refused: {refusal}"));
    }
    if plan.take.len() != CHILDREN {
        let seen = plan.take.len();
        return Err(format!("only {seen} of {CHILDREN} zombies were found"));
    }
    let begin = Instant::now();
    let outcome = sexton_reap::execute(scanner.proc(), &plan, |_| ControlFlow::Continue(()))
        .map_err(|error| error.to_string())?;
    if outcome.end != End::Complete || !outcome.left.is_empty() {
        let taken = outcome.taken;
        return Err(format!(
            "only {taken} of {CHILDREN} zombies could be taken ({:?})",
            outcome.end
        ));
    }
    Ok(u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// The plan, as soon as all children have ended.
fn planned(scanner: &mut Scanner, pid: u32) -> Result<Plan, String> {
    let options = Options {
        settle: Duration::ZERO,
        allow_host: true,
        nudge: false,
        ..Options::default()
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let plan = plan(scanner, pid, &options).map_err(|error| error.to_string())?;
        let plan = plan.ok_or_else(|| {
            "the process made for it is not in /proc: this is another PID namespace's".to_owned()
        })?;
        let done = plan.refusal.is_some() || plan.take.len() == CHILDREN;
        if done || Instant::now() > deadline {
            return Ok(plan);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn plan(scanner: &mut Scanner, pid: u32, options: &Options) -> Result<Option<Plan>, Error> {
    let Some(holder) = scanner.holder(pid)? else {
        return Ok(None);
    };
    Ok(sexton_reap::plan(scanner, holder.id, options)?)
}
