//! Inits and other programs that pass a signal on to their command, which then decides.

use super::facts::Process;
use super::fate::Fate;
use super::init::{Forwarder, IfRefused, To};
use super::stop::{Reach, Stop};
use super::{cure, judge};
use crate::signal;
use crate::{Confidence, Verdict};

/// What the signal does to an init.
pub(super) fn init(process: &Process, init: &Forwarder, stop: Stop) -> Fate {
    let (name, pid) = (signal::name(stop.number), process.id.pid);
    let known = format!(
        "{} is {}: `{}` (/proc/{pid}/exe, /proc/{pid}/cmdline).",
        process.called(),
        init.name,
        process.command(),
    );
    let Some(passed) = init.passes_on(stop.number) else {
        return Fate::stays(
            Confidence::High,
            format!("{} does not pass {name} on", init.name),
        )
        .fact(known)
        .cures(cure::not_passed_on(init.name, &name));
    };
    // Orphans become children of an init, too; its own command is the oldest.
    let Some((child, orphans)) = process.children.split_first() else {
        return Fate::unknown(format!("{} has no child that could be seen", init.name)).fact(known);
    };
    if !process.may_signal(child) {
        return refused(process, init, child, stop).fact(known);
    }
    let (whom, reach) = match init.to {
        To::Child => ("its child alone", Reach::Alone),
        To::Group => (
            "the process group of its child",
            Reach::Group(child.process_group),
        ),
        To::All => ("all that descends from it", Reach::All),
    };
    let passed_name = signal::name(passed);
    let how = format!(
        "It passes {name} on to {whom}{}; its child is {}.",
        if passed == stop.number {
            String::new()
        } else {
            format!(" as {passed_name}")
        },
        child.called()
    );
    let Some(inner) = stop.passed_on(passed, reach, init.ends_the_rest) else {
        return Fate::unknown("too many inits, one in the other").fact(known);
    };
    let mut fate = judge::of(child, inner);
    fate.confidence = fate.confidence.min(init.confidence);
    fate.facts.splice(0..0, [known, how]);
    if fate.verdict != Verdict::Ends
        && let Some(seconds) = init.kills_after(stop.number)
        && stop.grace.is_none_or(|grace| seconds < grace as f64)
    {
        fate.verdict = Verdict::Ends;
        fate.confidence = init.confidence;
        fate.summary = format!("{}; {} kills it after {seconds} s", fate.summary, init.name);
    }
    if fate.verdict == Verdict::Ends {
        let mut fate = fate.unheard(inner.unheard(orphans));
        if !fate.unheard.is_empty() && fate.cures.is_empty() {
            fate.cures = vec![cure::below_an_init(process, init.name, child)];
        }
        return fate;
    }
    fate
}

/// The kernel does not let it signal its own command.
fn refused(process: &Process, init: &Forwarder, child: &Process, stop: Stop) -> Fate {
    let (program, grace) = (init.name, stop.grace);
    let signal = signal::name(stop.number);
    let in_time = |seconds: f64| grace.is_none_or(|grace| seconds < grace as f64);
    let fate = match init.if_refused {
        IfRefused::Exits if init.kill_after.is_none_or(in_time) => Fate::ends(
            Confidence::Medium,
            format!(
                "{program} may not signal {} and exits; {0} never hears of it",
                child.name
            ),
        )
        .unheard([child]),
        IfRefused::Exits | IfRefused::Stays => Fate::stays(
            Confidence::Medium,
            format!(
                "{program} may not signal {}, which is another user's",
                child.name
            ),
        )
        .unheard([child]),
    };
    fate.fact(format!(
        "{} has no CAP_KILL and is of uid {}; {} is of uid {}: the kernel refuses it {signal} to \
         another user's process (CapEff, Uid of /proc/{}/status and /proc/{}/status).",
        process.called(),
        process.uids[1],
        child.called(),
        child.uids[0],
        process.id.pid,
        child.id.pid,
    ))
    .cures(cure::may_not_signal(child))
}
