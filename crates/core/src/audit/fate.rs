//! What becomes of a process, and so of its container, when a signal comes.

use super::facts::{Facts, Process, Reception};
use super::init::{Forwarder, To};
use super::{MainProcess, Verdict, cure, handler, shell};
use crate::cause::{Cure, Language, is_shell};
use crate::signal::{self, Default, is_in};
use crate::{Confidence, State};

/// Inits below inits are followed no deeper.
const DEEPEST: usize = 8;

/// A judgement on its way up from the process that decides.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    pub(super) verdict: Verdict,
    pub(super) confidence: Confidence,
    /// Why, in one sentence.
    pub(super) summary: String,
    pub(super) facts: Vec<String>,
    pub(super) cures: Vec<Cure>,
    pub(super) unheard: Vec<MainProcess>,
}

impl Fate {
    pub(super) fn new(
        verdict: Verdict,
        confidence: Confidence,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            verdict,
            confidence,
            summary: summary.into(),
            facts: Vec::new(),
            cures: Vec::new(),
            unheard: Vec::new(),
        }
    }

    pub(super) fn ends(confidence: Confidence, summary: impl Into<String>) -> Self {
        Self::new(Verdict::Ends, confidence, summary)
    }

    pub(super) fn stays(confidence: Confidence, summary: impl Into<String>) -> Self {
        Self::new(Verdict::Killed, confidence, summary)
    }

    pub(super) fn unknown(summary: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, Confidence::Low, summary)
    }

    #[must_use]
    pub(super) fn fact(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }

    #[must_use]
    pub(super) fn facts(mut self, facts: impl IntoIterator<Item = String>) -> Self {
        self.facts.extend(facts);
        self
    }

    #[must_use]
    pub(super) fn cures(mut self, cures: impl IntoIterator<Item = Cure>) -> Self {
        self.cures.extend(cures);
        self
    }

    #[must_use]
    pub(super) fn unheard<'a>(mut self, processes: impl IntoIterator<Item = &'a Process>) -> Self {
        self.unheard
            .extend(processes.into_iter().map(Process::brief));
        self
    }
}

/// What the stop signal does to a container.
pub(super) fn of_container(facts: &Facts) -> Fate {
    let main = &facts.main;
    let number = facts.signal.number;
    let grace = facts.grace.as_ref().map(|grace| grace.seconds);
    let mut fate = if number == signal::SIGKILL {
        Fate::ends(Confidence::High, "SIGKILL ends it at once")
    } else if facts.frozen {
        Fate::stays(
            Confidence::Medium,
            "its cgroup is frozen: the signal waits until it is thawed",
        )
        .fact("Its cgroup is frozen (freezer.state, cgroup.events).")
        .cures([cure::thawed()])
    } else {
        of(main, number, grace, 0)
    };
    if fate.verdict != Verdict::Ends {
        let other = other_signal(main, number, grace);
        // Where the usual signal would do, no code has to be written.
        let at = if number == signal::SIGTERM {
            fate.cures.len()
        } else {
            0
        };
        fate.cures.splice(at..at, other);
    }
    let mut facts_first = vec![format!(
        "A stop sends {}: {}.",
        facts.signal.name, facts.signal.source
    )];
    if facts.shared_pid_namespace && !main.is_namespace_init() {
        facts_first.push(format!(
            "Its main process is {}, not PID 1 of its PID namespace, which it shares: a signal \
             without a handler ends it (NSpid of /proc/{}/status).",
            main.called(),
            main.id.pid
        ));
    }
    fate.facts.splice(0..0, facts_first);
    fate
}

/// SIGTERM or SIGINT would do what the signal that is sent does not.
fn other_signal(main: &Process, number: u8, grace: Option<u64>) -> Option<Cure> {
    // SIGINT, SIGQUIT: what an interactive program takes; SIGRTMIN+3: systemd.
    [signal::SIGTERM, 2, 3, 37]
        .into_iter()
        .filter(|other| *other != number)
        .find(|other| {
            let fate = of(main, *other, grace, 0);
            fate.verdict == Verdict::Ends && fate.confidence >= Confidence::Medium
        })
        .map(cure::stop_signal)
}

/// What a signal does to one process, and through it to those that hang on it.
pub(super) fn of(process: &Process, number: u8, grace: Option<u64>, depth: usize) -> Fate {
    let (name, pid) = (signal::name(number), process.id.pid);
    if process.state == State::Stopped {
        let summary = format!("{} is stopped and handles no signal", process.name);
        return Fate::stays(Confidence::High, summary)
            .fact(format!(
                "{} is in state T: signals wait until SIGCONT (State of /proc/{}/status).",
                process.called(),
                pid
            ))
            .cures([cure::continued(pid)]);
    }
    if let Some(init) = Forwarder::of(process)
        && depth < DEEPEST
    {
        return through_init(process, &init, number, grace, depth);
    }
    if let Some(fate) = handler::of_known(process, number) {
        return fate;
    }
    match process.signals.reception(number) {
        Reception::Ignored => {
            Fate::stays(Confidence::High, format!("{} ignores {name}", process.name))
                .fact(mask(process, number, "ignores", "SigIgn"))
                .cures(cure::ignored(process, number))
        }
        Reception::Blocked if process.is_hidden() => Fate::unknown(format!(
            "{} blocks {name}; whether it waits for it is hidden",
            process.name
        )),
        // Medium: it may unblock it, or wait for it, at another moment.
        Reception::Blocked => Fate::stays(
            Confidence::Medium,
            format!("{} blocks {name} in every thread", process.name),
        )
        .fact(format!(
            "{} blocks {name} in every thread: it stays pending (SigBlk of \
             /proc/{pid}/task/*/status).",
            process.called()
        ))
        .facts(
            is_in(process.signals.pending, number)
                .then(|| format!("One has come already and waits (ShdPnd of /proc/{pid}/status).")),
        )
        .cures([cure::blocked(number)]),
        Reception::Awaited => Fate::ends(
            Confidence::Medium,
            format!("{} waits for {name} and acts on it", process.name),
        )
        .fact(format!(
            "{} takes {name} from a signalfd or in sigwaitinfo (/proc/{pid}/fdinfo, \
             /proc/{pid}/task/*/syscall); what it does then is its own affair.",
            process.called(),
        )),
        Reception::Caught if is_a_shell(process) => shell::caught(process, number, grace),
        Reception::Caught => handler::caught(process, number),
        Reception::Default if is_a_shell(process) => shell::default(process, number),
        Reception::Default => default(process, number),
    }
}

/// `app (pid 7) catches SIGTERM (SigCgt of /proc/7/status).`
pub(super) fn mask(process: &Process, number: u8, verb: &str, field: &str) -> String {
    let (called, pid) = (process.called(), process.id.pid);
    let name = signal::name(number);
    format!("{called} {verb} {name} ({field} of /proc/{pid}/status).")
}

/// No handler, not a shell.
fn default(process: &Process, number: u8) -> Fate {
    let name = signal::name(number);
    let fact = mask(process, number, "has no handler for", "SigCgt, SigIgn");
    match (signal::default(number), process.is_namespace_init()) {
        (Default::End, true) => Fate::stays(
            // A signal that a thread waits for looks the same in the masks.
            if process.is_hidden() {
                Confidence::Medium
            } else {
                Confidence::High
            },
            format!("{} is PID 1 without a handler", process.name),
        )
        .fact(fact)
        .fact(DROPPED)
        .cures(cure::no_handler(process, number)),
        (Default::End, false) => Fate::ends(
            Confidence::High,
            format!("{} is not PID 1, so it ends", process.name),
        )
        .fact(fact),
        (Default::Ignore, _) => Fate::stays(
            Confidence::High,
            format!("{name} does nothing where there is no handler"),
        )
        .fact(fact),
        (Default::Stop, _) => Fate::stays(
            Confidence::High,
            format!("{name} stops a process and does not end it"),
        )
        .fact(fact),
    }
}

/// Why the default action is none for PID 1.
pub(super) const DROPPED: &str = "It is PID 1 of its PID namespace: the kernel drops signals to \
     PID 1 that have no handler, those from outside too (pid_namespaces(7)).";

/// An init that passes the signal on: its command decides.
fn through_init(
    process: &Process,
    init: &Forwarder,
    number: u8,
    grace: Option<u64>,
    depth: usize,
) -> Fate {
    let (name, pid) = (signal::name(number), process.id.pid);
    let known = format!(
        "{} is {}: `{}` (/proc/{pid}/exe, /proc/{pid}/cmdline).",
        process.called(),
        init.name,
        process.command(),
    );
    let Some(passed) = init.passes_on(number) else {
        return Fate::stays(
            Confidence::High,
            format!("{} does not pass {name} on", init.name),
        )
        .fact(known);
    };
    // Orphans become children of an init, too; its own command is the oldest.
    let Some(child) = process.children.first() else {
        return Fate::unknown(format!("{} has no child that could be seen", init.name)).fact(known);
    };
    let whom = match init.to {
        To::Child => "its child alone",
        To::Group => "the process group of its child",
        To::All => "all that descends from it",
    };
    let passed_name = signal::name(passed);
    let how = format!(
        "It passes {name} on to {whom}{}; its child is {}.",
        if passed == number {
            String::new()
        } else {
            format!(" as {passed_name}")
        },
        child.called()
    );
    let mut fate = of(child, passed, grace, depth + 1);
    fate.facts.splice(0..0, [known, how]);
    if fate.verdict != Verdict::Ends
        && let Some(seconds) = init.kills_after(number)
        && grace.is_none_or(|grace| seconds < grace as f64)
    {
        fate.verdict = Verdict::Ends;
        fate.confidence = Confidence::High;
        fate.summary = format!("{}; {} kills it after {seconds} s", fate.summary, init.name);
    }
    let told = |unheard: &MainProcess| match init.to {
        To::Child => false,
        To::Group => in_group(child, unheard.id.pid, child.process_group),
        To::All => true,
    };
    // Under our own init what is left gets the stop signal, too, and some time.
    fate.unheard
        .retain(|unheard| !init.ends_the_rest && !told(unheard));
    if fate.verdict == Verdict::Ends && !fate.unheard.is_empty() {
        fate.cures.extend(cure::through_init(init.name));
    }
    fate
}

/// Whether a descendant belongs to a process group.
fn in_group(process: &Process, pid: u32, group: u32) -> bool {
    process.children.iter().any(|child| {
        (child.id.pid == pid && child.process_group == group) || in_group(child, pid, group)
    })
}

fn is_a_shell(process: &Process) -> bool {
    process.program.language == Language::Shell
        || (process.program.language == Language::Unknown && is_shell(process.program_name()))
}
