//! What becomes of a process, and so of its container, when a signal comes: which rule decides.

use super::facts::{Facts, Process, Reception};
use super::fate::{DROPPED, Fate, mask};
use super::init::Forwarder;
use super::stop::Stop;
use super::{Verdict, cure, handler, hook, known, servers, shell, through};
use crate::cause::{Cure, Language, is_shell};
use crate::signal::{self, DefaultAction, is_in};
use crate::{Confidence, State};

/// What the stop signal does to a container.
pub(super) fn of_container(facts: &Facts) -> Fate {
    let main = &facts.main;
    let number = facts.signal.number;
    let (grace, hook) = hook::grace_left(facts);
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
        let fate = of(main, Stop::new(number, grace));
        waiting(main, number, grace, facts.connections, fate)
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
        if fate.cures.is_empty() {
            let usual = (number != signal::SIGTERM).then(|| cure::stop_signal(signal::SIGTERM));
            fate.cures = usual.into_iter().chain([cure::init(main)]).collect();
        }
    }
    if main.age_seconds < SETTLED
        && fate.confidence == Confidence::High
        && number != signal::SIGKILL
    {
        fate.confidence = Confidence::Medium;
        fate.facts.push(format!(
            "It was started {} ago: a program may still make its handlers.",
            crate::text::duration(main.age_seconds)
        ));
    }
    let mut facts_first = vec![format!(
        "A stop sends {}: {}.",
        facts.signal.name, facts.signal.source
    )];
    facts_first.extend(hook);
    if facts.shared_pid_namespace && !main.is_namespace_init() {
        facts_first.push(format!(
            "Its main process is {}, not PID 1 of its PID namespace, which it shares: a signal \
             without a handler ends it (NSpid of /proc/{}/status).",
            main.called(),
            main.id.pid
        ));
    }
    fate.facts.splice(0..0, facts_first);
    only_once(&mut fate);
    fate
}

/// Younger programs may still make their handlers.
const SETTLED: u64 = 2;

/// The server that waits for open requests may stand behind an init or a shell that passes on.
fn waiting(
    main: &Process,
    number: u8,
    grace: Option<u64>,
    connections: Option<usize>,
    fate: Fate,
) -> Fate {
    let below = Forwarder::of(main)
        .and_then(|init| Some((main.children.first()?, init.passes_on(number)?)));
    match below {
        Some((child, passed)) => waiting(child, passed, grace, connections, fate),
        None => servers::wait(main, number, grace, connections, fate),
    }
}

/// No fact, process or cure twice.
fn only_once(fate: &mut Fate) {
    let mut seen: Vec<String> = Vec::new();
    fate.cures.retain(|cure| {
        let what = cure.code.clone().unwrap_or_else(|| cure.text.clone());
        let first = !seen.contains(&what);
        seen.push(what);
        first
    });
    let mut seen = Vec::new();
    fate.unheard.retain(|process| {
        let first = !seen.contains(&process.id);
        seen.push(process.id);
        first
    });
    let mut seen: Vec<String> = Vec::new();
    fate.facts.retain(|fact| {
        let first = !seen.contains(fact);
        seen.push(fact.clone());
        first
    });
}

/// SIGTERM or SIGINT would do what the signal that is sent does not.
fn other_signal(main: &Process, number: u8, grace: Option<u64>) -> Option<Cure> {
    // SIGINT, SIGQUIT: what an interactive program takes; SIGRTMIN+3: systemd.
    [signal::SIGTERM, 2, 3, 37]
        .into_iter()
        .filter(|other| *other != number)
        .find(|other| {
            let fate = of(main, Stop::new(*other, grace));
            fate.verdict == Verdict::Ends
                && fate.confidence >= Confidence::Medium
                && fate.unheard.is_empty()
        })
        .map(cure::stop_signal)
}

/// What a signal does to one process, and through it to those that hang on it.
pub(super) fn of(process: &Process, stop: Stop) -> Fate {
    let number = stop.number;
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
    let reception = process.signals.reception(number);
    if let Some(init) = Forwarder::of(process).filter(|init| init.takes(reception)) {
        return through::init(process, &init, stop);
    }
    if let Some(fate) = known::of(process, stop) {
        return fate;
    }
    match reception {
        Reception::Ignored if shell::goes_on_by_itself(process, stop) => Fate::unknown(format!(
            "{} ignores {name}, and its command does not: it goes on in its script",
            process.name
        ))
        .fact(mask(process, number, "ignores", "SigIgn")),
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
        .facts(process.signals.later.map(|_| {
            "In several looks over a second that was so, and no thread ran in between.".to_owned()
        }))
        .facts(
            is_in(process.signals.pending, number)
                .then(|| format!("One has come already and waits (ShdPnd of /proc/{pid}/status).")),
        )
        .cures([cure::blocked(number)]),
        Reception::Unsteady => unsteady(process, number),
        Reception::Awaited => Fate::ends(
            Confidence::Medium,
            format!("{} waits for {name} and acts on it", process.name),
        )
        .fact(format!(
            "{} takes {name} from a signalfd or in sigwaitinfo (/proc/{pid}/fdinfo, \
             /proc/{pid}/task/*/syscall); what it does then is its own affair.",
            process.called(),
        )),
        Reception::Caught if is_a_shell(process) => shell::caught(process, stop),
        Reception::Caught => handler::caught(process, number),
        Reception::Default if is_a_shell(process) => shell::default(process, stop),
        Reception::Default => default(process, stop),
    }
}

/// Every thread blocks it at every look, or at most of them, and the program runs in between.
fn unsteady(process: &Process, number: u8) -> Fate {
    let (name, pid) = (signal::name(number), process.id.pid);
    let seen_open = process
        .signals
        .later
        .is_some_and(|later| is_in(later.open, number));
    let caught = is_in(process.signals.caught, number);
    let fact = format!(
        "{} blocks {name} in every thread and opens its mask now and then (several looks at SigBlk \
         of /proc/{pid}/task/*/status over a second).",
        process.called()
    );
    match (seen_open, caught) {
        (true, _) => Fate::ends(
            Confidence::Medium,
            format!("{} takes {name} now and then", process.name),
        )
        .fact(fact),
        (false, true) => Fate::unknown(format!(
            "{} has a handler for {name} and blocks it at every look",
            process.name
        ))
        .fact(format!(
            "{} has a handler for {name} and blocked it in every thread at several looks over a \
             second, but it ran in between: it may open its mask for a moment (SigCgt, SigBlk of \
             /proc/{pid}/task/*/status).",
            process.called()
        ))
        .cures([cure::blocked(number)]),
        (false, false) if !process.is_namespace_init() => Fate::unknown(format!(
            "{} has no handler for {name} and blocks it at every look",
            process.name
        ))
        .cures([cure::blocked(number)]),
        // Without a handler there is nothing that an open mask would let run.
        (false, false) => Fate::stays(
            Confidence::Medium,
            format!("{} blocks {name} in every thread", process.name),
        )
        .fact(mask(
            process,
            number,
            "blocks and does not catch",
            "SigBlk, SigCgt",
        ))
        .cures([cure::blocked(number)]),
    }
}

/// No handler, not a shell.
fn default(process: &Process, stop: Stop) -> Fate {
    let number = stop.number;
    let name = signal::name(number);
    let unheard = stop.unheard(&process.children);
    // A signal that a thread waits for looks the same in the masks.
    let sure = if process.is_hidden() {
        Confidence::Medium
    } else {
        Confidence::High
    };
    let fact = mask(process, number, "has no handler for", "SigCgt, SigIgn");
    let fate = match (signal::default(number), process.is_namespace_init()) {
        (DefaultAction::End, true) => {
            Fate::stays(sure, format!("{} is PID 1 without a handler", process.name))
                .fact(fact)
                .fact(DROPPED)
                .cures(cure::no_handler(process, number))
        }
        (DefaultAction::End, false) => Fate::ends(
            sure,
            match unheard.first() {
                Some(child) => format!("{} ends; {} never hears of it", process.name, child.name),
                None => format!("{} is not PID 1, so it ends", process.name),
            },
        )
        .fact(fact),
        (DefaultAction::Ignore, _) => Fate::stays(
            Confidence::High,
            format!("{name} does nothing where there is no handler"),
        )
        .fact(fact),
        (DefaultAction::Stop, _) => Fate::stays(
            Confidence::High,
            format!("{name} stops a process and does not end it"),
        )
        .fact(fact),
    };
    fate.unheard(unheard)
}

pub(super) fn is_a_shell(process: &Process) -> bool {
    process.program.language == Language::Shell
        || (process.program.language == Language::Unknown && is_shell(process.program_name()))
}
