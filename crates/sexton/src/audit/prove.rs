//! `sexton audit --prove`: sends the stop signal and sees what happens.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstyle::Style;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use schemars::JsonSchema;
use serde::Serialize;
use sexton_core::protect::{borrowed_name, protection};
use sexton_core::{ExitSignal, ProcessId, Verdict};
use sexton_scan::Scanner;

use super::view;
use crate::REFUSED;
use crate::cli::{self, AuditOutput};
use crate::error::Error;
use crate::output::lines::Lines;
use crate::output::{self, BAD, DIM, GOOD, WARN, text};

/// How long to wait where no grace period is known: Docker's.
const USUAL_GRACE: Duration = Duration::from_secs(10);
/// After SIGKILL a process is gone as soon as it is scheduled, unless it hangs in the kernel.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// What `sexton audit --prove -o json` prints.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// Version of the schema.
    pub api_version: &'static str,
    /// Always `Proof`.
    pub kind: &'static str,
    /// Nothing was sent, since `--yes` was not given or it was refused.
    pub dry_run: bool,
    /// The judgement that is tried out.
    pub exit_signal: ExitSignal,
    /// Seconds that are waited for the end.
    pub wait_seconds: f64,
    /// Why nothing may be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<SignalOutcome>,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignalOutcome {
    /// The main process ended on the signal.
    pub ended: bool,
    /// Seconds from the signal to its end, or as long as was waited.
    pub seconds: f64,
    /// What happened is what had been judged; absent where the judgement was `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_judged: Option<bool>,
    /// It was sent SIGKILL in the end and is gone.
    pub killed: bool,
}

/// Tries out the one container that was found.
pub fn run(
    scanner: &mut Scanner,
    found: Vec<ExitSignal>,
    options: &cli::Prove,
    output: AuditOutput,
) -> Result<ExitCode, Error> {
    let cli::Prove {
        prove: _,
        yes,
        grace,
        kill,
    } = *options;
    let [exit_signal] = <[ExitSignal; 1]>::try_from(found).map_err(|found| {
        Error::NoSuchTarget(format!(
            "TARGET stands for {} containers: name one of them",
            found.len()
        ))
    })?;
    let known = exit_signal.grace.as_ref();
    let wait = grace
        .or_else(|| known.map(|grace| Duration::from_secs(grace.seconds)))
        .unwrap_or(USUAL_GRACE);
    let mut proof = Proof {
        api_version: sexton_core::report::API_VERSION,
        kind: "Proof",
        dry_run: true,
        refusal: refusal(scanner, &exit_signal)?,
        wait_seconds: wait.as_secs_f64(),
        outcome: None,
        exit_signal,
    };
    if yes && proof.refusal.is_none() {
        match attempt(scanner, &proof.exit_signal, wait, kill)? {
            Some(outcome) => {
                proof.dry_run = false;
                proof.outcome = Some(outcome);
            }
            None => proof.refusal = Some("it has ended meanwhile".to_owned()),
        }
    }
    match output {
        AuditOutput::Json => output::json(&proof)?,
        AuditOutput::Table | AuditOutput::Wide | AuditOutput::Name => draw(&proof, wait, kill)?,
    }
    Ok(match (&proof.refusal, &proof.outcome) {
        (Some(_), _) => ExitCode::from(REFUSED),
        (None, Some(outcome)) => ExitCode::from(u8::from(!outcome.ended)),
        (None, None) => ExitCode::SUCCESS,
    })
}

/// Why nothing may be sent; `None` if it may.
fn refusal(scanner: &mut Scanner, found: &ExitSignal) -> Result<Option<String>, Error> {
    let own = scanner.proc().own_pid();
    if own != Some(std::process::id()) {
        return Ok(Some(format!(
            "{} is not the /proc of this PID namespace: its pids mean others here",
            scanner.proc().path().display()
        )));
    }
    let pid = found.main.id.pid;
    let Some(holder) = scanner
        .holder(pid)?
        .filter(|holder| holder.id == found.main.id)
    else {
        return Ok(Some("it has ended meanwhile".to_owned()));
    };
    // A runtime in a container may have containers of its own, which would end with it. Nothing
    // is healed by a proof, so here the mere name is enough.
    let protection = protection(&holder, std::process::id());
    if let Some(what) = protection.or_else(|| borrowed_name(&holder)) {
        return Ok(Some(format!("{what} is never signalled")));
    }
    let own_container = scanner.container_of(std::process::id())?;
    if own_container.is_some_and(|own| own.id == found.container.id) {
        return Ok(Some("Sexton itself runs in it".to_owned()));
    }
    if signal_of(found).is_none() {
        return Ok(Some(format!(
            "{} is sent by hand only: kill -s {} {pid}",
            found.stop_signal.name,
            found.stop_signal.name.trim_start_matches("SIG")
        )));
    }
    Ok(None)
}

/// Real-time signals have no safe form: the C library keeps some for itself.
fn signal_of(found: &ExitSignal) -> Option<Signal> {
    Signal::from_named_raw(i32::from(found.stop_signal.number))
}

/// `None` when the process had ended before.
fn attempt(
    scanner: &Scanner,
    found: &ExitSignal,
    wait: Duration,
    kill: bool,
) -> Result<Option<SignalOutcome>, Error> {
    let (Some(process), Some(number)) = (hold(scanner, found.main.id)?, signal_of(found)) else {
        return Ok(None);
    };
    let began = Instant::now();
    if !send(&process, number, found)? {
        return Ok(None);
    }
    let ended = ends_within(&process, wait)?;
    let seconds = began.elapsed().as_secs_f64();
    let killed = !ended
        && kill
        && send(&process, Signal::KILL, found)?
        && ends_within(&process, KILLED_WITHIN)?;
    Ok(Some(SignalOutcome {
        ended,
        seconds,
        as_judged: match found.verdict {
            Verdict::Ends => Some(ended),
            Verdict::Killed => Some(!ended),
            Verdict::Unknown => None,
        },
        killed,
    }))
}

/// A pidfd of this process and no other; `None` if it is gone.
fn hold(scanner: &Scanner, id: ProcessId) -> Result<Option<OwnedFd>, Error> {
    let Some(pid) = i32::try_from(id.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(denied("open a pidfd of", id.pid, error)),
    };
    // Read after it was opened: if this is still the process, then the pidfd is of it.
    let now = match scanner.proc().process(id.pid)? {
        Some(process) => process.id()?,
        None => None,
    };
    Ok((now == Some(id)).then_some(pidfd))
}

/// `false` when it has ended.
fn send(process: &OwnedFd, number: Signal, found: &ExitSignal) -> Result<bool, Error> {
    match pidfd_send_signal(process, number) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(error) => Err(denied("signal", found.main.id.pid, error)),
    }
}

fn denied(what: &str, pid: u32, error: Errno) -> Error {
    Error::NoSuchTarget(format!("cannot {what} process {pid}: {}", text::os(&error)))
}

/// A pidfd is readable once its process has ended.
fn ends_within(process: &OwnedFd, wait: Duration) -> Result<bool, Error> {
    // Beyond all clocks: for ever.
    let until = Instant::now().checked_add(wait);
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(error) => return Err(Error::Output(error.into())),
        }
    }
}

fn draw(proof: &Proof, wait: Duration, kill: bool) -> Result<(), Error> {
    let mut lines = Lines::new(output::stdout());
    let found = &proof.exit_signal;
    view::detail(&mut lines, found)?;
    lines.gap()?;
    let (name, pid) = (&found.stop_signal.name, found.main.id.pid);
    let waits = text::duration(wait.as_secs());
    if let Some(refusal) = &proof.refusal {
        lines.line(WARN, &format!("Refused: {refusal}."))?;
    } else if let Some(outcome) = &proof.outcome {
        let SignalOutcome {
            ended,
            seconds,
            as_judged,
            killed,
        } = outcome;
        let said = if *ended {
            format!("{name} was sent to pid {pid}: it ended after {seconds:.2} s")
        } else {
            format!("{name} was sent to pid {pid}: it was still there after {seconds:.1} s")
        };
        let judged = match as_judged {
            Some(true) => "as judged",
            Some(false) => "not as judged: please report this with the lines above",
            None => "it could not be told before",
        };
        let style = if *ended { GOOD } else { BAD };
        lines.line(style, &format!("{said}, {judged}."))?;
        if *killed {
            lines.line(Style::new(), "It was sent SIGKILL then, and is gone.")?;
        }
    } else {
        let then = if kill { ", then SIGKILL" } else { "" };
        lines.line(
            Style::new(),
            &format!(
                "Would send {name} to pid {pid} and wait {waits} for its end{then}. This stops \
                 the container. Nothing was done."
            ),
        )?;
        lines.line(DIM, "Do it: the same with --yes")?;
    }
    lines.out.flush()?;
    Ok(())
}
