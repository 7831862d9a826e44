//! The texts of the knowledge base with the facts put in.

mod hindered;

use super::facts::{Facts, base_name};
use super::words::{Answer, Blocked, First, Language};
use crate::SigchldAction;

/// How many names of ended commands a sentence gives.
const NAMES_SHOWN: usize = 4;

/// All templates, filled; those that need a fact that is not known are left out.
pub(super) fn fill_all(templates: &[&str], facts: &Facts) -> Vec<String> {
    templates
        .iter()
        .filter_map(|template| fill(template, facts))
        .collect()
}

/// A template, filled; `None` where it needs a fact that is not known.
pub(super) fn fill(template: &str, facts: &Facts) -> Option<String> {
    fill_with(template, |name| placeholder(name, facts))
}

/// A template of the knowledge base, filled with what `value` gives for each word in braces;
/// `None` where it gives nothing for one of them.
#[must_use]
pub fn fill_with(template: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        text.push_str(before);
        text.push_str(&value(name)?);
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

fn placeholder(name: &str, facts: &Facts) -> Option<String> {
    let holder = &facts.leak.holder;
    match name {
        "reap" => reap(facts),
        "container" => facts
            .leak
            .container
            .as_ref()
            .map(|container| container.short_id().to_owned()),
        "target" | "pid" => Some(holder.id.pid.to_string()),
        "inner-pid" => Some(holder.inner_pid().to_string()),
        "holder" => Some(format!("{} (pid {})", name_of(facts), holder.id.pid)),
        "zombies" => Some(facts.leak.zombies.to_string()),
        "ended" => Some(ended(facts)),
        "language" => Some(facts.program.language.label().to_owned()),
        "tracer" => holder.traced_by.map(|pid| pid.to_string()),
        "first" => Some(first_quoted(facts)),
        "own-wait" => Some(own_wait(facts.program.language).to_owned()),
        "collector" => facts.sigchld.collector.map(|tid| tid.to_string()),
        "starts-none" => (facts.starts_processes == Answer::No).then(|| {
            format!(
                "{} starts no processes of its own: its executable calls nothing that does (/proc/{}/exe).",
                name_of(facts),
                holder.id.pid
            )
        }),
        "waits-for" => waits_for(facts),
        "pipe" => pipe(facts),
        "program" => program(facts),
        "origin" => (!facts.origins.evidence.is_empty()).then(|| facts.origins.evidence.join(" ")),
        "waited" => waited(facts),
        "calls" => calls(facts),
        "sigchld" => Some(sigchld(facts)),
        "state" => hindered::state(facts),
        "thaw" => (facts.asleep.thaw.as_ref())
            .map(|thaw| format!("echo {} > {}", thaw.value, thaw.file)),
        "frees" => (facts.asleep.waits_for.as_ref()).map(|what| what.cure(holder.id.pid)),
        "sleeps-in" => hindered::sleeps_in(facts),
        "vfork-child" => hindered::vfork_child(facts),
        "first-is" => first_is(facts),
        "shared" => shared(facts),
        "drivers" => (!facts.drivers.is_empty()).then(|| {
            format!(
                "Drivers of browsers in its PID namespace: {} (/proc/*/comm, /proc/*/cmdline).",
                facts.drivers.join(", ")
            )
        }),
        "inits" => (!facts.misplaced_inits.is_empty()).then(|| {
            format!(
                "{} lives in its PID namespace, but is not PID 1, so it does not get orphans (NSpid of /proc/*/status).",
                facts.misplaced_inits.join(", ")
            )
        }),
        _ => None,
    }
}

/// The command that reaps this leak; `None` where Sexton refuses whatever is asked.
fn reap(facts: &Facts) -> Option<String> {
    let pid = facts.leak.holder.id.pid;
    match (&facts.leak.protected, &facts.leak.container) {
        (Some(_), _) => None,
        (None, Some(_)) => Some(format!("sexton reap {pid} --yes")),
        (None, None) => Some(format!("sexton reap {pid} --yes --allow-host")),
    }
}

/// A short name for the holder: its first argument's last part says more than `comm`, which is
/// cut at 15 bytes and which threads rename.
fn name_of(facts: &Facts) -> &str {
    let holder = &facts.leak.holder;
    let argument = holder.command_line.first().map(|arg| base_name(arg));
    match argument {
        Some(name) if !name.is_empty() && !name.contains(' ') => name,
        _ => &holder.name,
    }
}

fn ended(facts: &Facts) -> String {
    let commands = &facts.leak.commands;
    let mut text = commands
        .iter()
        .take(NAMES_SHOWN)
        .map(|command| format!("{} ({})", command.name, command.count))
        .collect::<Vec<_>>()
        .join(", ");
    if commands.len() > NAMES_SHOWN {
        text.push_str(&format!(
            " and {} other names",
            commands.len() - NAMES_SHOWN
        ));
    }
    text
}

fn program(facts: &Facts) -> Option<String> {
    if facts.program.language == Language::Unknown && facts.out_of_reach {
        return Some(format!(
            "What {} is written in is not known: this user may not read /proc/{}/exe.",
            name_of(facts),
            facts.leak.holder.id.pid
        ));
    }
    let evidence = facts.program.evidence.as_deref()?;
    let name = name_of(facts);
    Some(match facts.program.language {
        Language::Shell => format!("{name} is a shell: {evidence}."),
        Language::Native => format!("{name} is machine code of its own: {evidence}."),
        Language::Unknown => return None,
        language => format!("{name} is a {} program: {evidence}.", language.label()),
    })
}

fn waited(facts: &Facts) -> Option<String> {
    let pid = facts.leak.holder.id.pid;
    let faults = facts.waited_faults?;
    let field = format!("cminflt is {faults} (field 11 of /proc/{pid}/stat)");
    Some(match (facts.waited(), faults) {
        (Answer::No, 0) => format!("It has never waited for a child: {field}."),
        (Answer::No, _) => {
            format!("It has waited for no command, only for Go's own probe: {field}.")
        }
        (Answer::Yes, _) => {
            format!("It has waited for children before, and did while Sexton watched: {field}.")
        }
        (Answer::Unknown, _) => format!(
            "Children of it have been waited for; whether by this program, by a script that became it by exec, or because a debugger or Sexton made it wait, is not known: {field}."
        ),
    })
}

/// How a program in this language waits for its own children.
fn own_wait(language: Language) -> &'static str {
    match language {
        Language::Go => "call cmd.Wait after each cmd.Start, or use cmd.Run",
        Language::Python => "use subprocess.run, or call wait() or poll() on each Popen",
        Language::Node => "keep the event loop free, as Node.js waits in it",
        Language::Java => "start processes with ProcessBuilder only, as the JVM waits for those",
        Language::Ruby => "call Process.wait, or Process.detach, for each process",
        Language::Php => "call pcntl_waitpid after pcntl_fork, and proc_close after proc_open",
        Language::Perl => "call waitpid for each process",
        Language::DotNet => "start processes with System.Diagnostics.Process only",
        Language::Erlang => "start programs as ports only",
        Language::Rust => "call wait() on each Child",
        Language::Shell => "call `wait` in the script",
        Language::Native | Language::Unknown => "call waitpid for each process",
    }
}

fn waits_for(facts: &Facts) -> Option<String> {
    let pid = facts.leak.holder.id.pid;
    let list: Vec<_> = facts.waits_for.iter().map(u32::to_string).collect();
    let (process, list) = match list.as_slice() {
        [] => return None,
        [one] => ("process", one.clone()),
        several => ("processes", several.join(", ")),
    };
    Some(format!(
        "It waits for {process} {list} of its PID namespace only, so it takes no other (the argument of the call in /proc/{pid}/syscall)."
    ))
}

fn pipe(facts: &Facts) -> Option<String> {
    let pipe = facts.held_pipe.as_ref()?;
    let pid = facts.leak.holder.id.pid;
    Some(format!(
        "It reads {} and gets no end of file, because another process holds the other end: {} (/proc/{pid}/syscall, /proc/*/fd).",
        pipe.name,
        pipe.writers.join(", ")
    ))
}

fn calls(facts: &Facts) -> Option<String> {
    let pid = facts.leak.holder.id.pid;
    let list = facts
        .calls
        .iter()
        .map(|call| match call.threads {
            1 => call.name.clone(),
            threads => format!("{} ({threads} threads)", call.name),
        })
        .collect::<Vec<_>>()
        .join(", ");
    match facts.waiting() {
        Answer::Unknown => None,
        Answer::Yes => Some(format!(
            "A thread of it waits for a child right now: {list} (/proc/{pid}/task/*/syscall)."
        )),
        Answer::No => Some(format!(
            "No thread of it waits for a child right now: {list} (/proc/{pid}/task/*/syscall)."
        )),
    }
}

fn sigchld(facts: &Facts) -> String {
    let pid = facts.leak.holder.id.pid;
    let action = match facts.leak.holder.sigchld {
        SigchldAction::Default => "It has no handler for SIGCHLD",
        SigchldAction::Ignored => "It ignores SIGCHLD",
        SigchldAction::Caught => "It has a handler for SIGCHLD",
    };
    let blocked = match facts.sigchld.blocked {
        Blocked::None => ", and blocks it in no thread",
        Blocked::Some => ", and blocks it in some threads",
        Blocked::All => ", and blocks it in every thread",
        Blocked::Unknown => "",
    };
    let pending = if facts.sigchld.pending {
        "; one is pending"
    } else {
        ""
    };
    let collector = match facts.sigchld.collector {
        Some(tid) => format!("; thread {tid} collects it by sigwait or a signalfd"),
        None => String::new(),
    };
    format!(
        "{action}{blocked}{pending}{collector} (SigCgt, SigIgn, SigBlk, ShdPnd of /proc/{pid}/task/*/status)."
    )
}

fn first_quoted(facts: &Facts) -> String {
    match facts.first.command_line.as_str() {
        "" => "PID 1".to_owned(),
        command => format!("`{command}`"),
    }
}

fn first_is(facts: &Facts) -> Option<String> {
    let what = match facts.first.kind {
        First::Unknown => return None,
        First::Init => ", an init: it reaps orphans, but no child whose parent still lives",
        First::Pause => {
            ", the pause of the pod: it reaps orphans, but no child whose parent still lives"
        }
        First::KeepAlive => ", which only keeps the container alive and never waits",
        First::Shell => ", a shell",
        First::Program => ", not an init",
    };
    let pid = facts.first.pid?;
    Some(format!(
        "PID 1 of its PID namespace is {}{what} (/proc/{pid}/cmdline).",
        first_quoted(facts)
    ))
}

fn shared(facts: &Facts) -> Option<String> {
    match facts.shared_pid_namespace {
        Answer::Yes => Some(format!(
            "Its PID namespace is shared: PID 1 there{} belongs to another container or to the host (/proc/PID/cgroup, /proc/PID/ns/pid).",
            facts
                .first
                .pid
                .map(|pid| format!(" (pid {pid})"))
                .unwrap_or_default()
        )),
        Answer::No | Answer::Unknown => None,
    }
}
