//! Facts about the stop signal of each container on the node; [`sexton_core::audit`] judges.
//!
//! Reads only: one look at each process of the node for its container, and a closer one at
//! each container's main process and what hangs on it.

mod awaited;
mod by_hand;
mod connections;
mod looks;
mod members;
mod process;
mod stop;
mod texts;

use sexton_core::audit::{ExitSignal, Facts, Process, judge};
use sexton_core::{Container, Workload, text};

use crate::facts::Notes;
use crate::holder::{self, seen};
use crate::{Error, Scanner, names};

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    /// One entry a container, the worst verdict first.
    pub exit_signals: Vec<ExitSignal>,
    /// What could not be seen.
    pub notes: Vec<String>,
}

/// Looks at every container of the node that `wanted` admits. What a runtime tells of one
/// ([`Workload`]) goes before what files on the node say.
pub fn containers(
    scanner: &mut Scanner,
    workloads: &[Workload],
    mut wanted: impl FnMut(&Container, &[u32]) -> bool,
) -> Result<Audit, Error> {
    let mut audit = Audit::default();
    let (groups, unmarked) = members::by_container(scanner)?;
    if unmarked != 0 {
        let what = text::plural(unmarked as u64, "PID namespace", "PID namespaces");
        audit.notes.push(format!(
            "{what} that no runtime marked as a container left out"
        ));
    }
    let mut all = Vec::new();
    for mut group in groups {
        names::complete(&scanner.roots.host, &mut group.container);
        if !wanted(&group.container, &group.pids()) {
            continue;
        }
        let workload = workloads.iter().find(|w| w.id == group.container.id);
        // One that ended meanwhile is none of the node's any more.
        if let Some(facts) = gather(scanner, &group, workload)? {
            all.push(facts);
        }
    }
    looks::again(scanner, &mut all);
    audit.exit_signals = all.iter().map(judge).collect();
    audit
        .exit_signals
        .sort_by_key(|e| (e.mark(), std::cmp::Reverse(e.confidence), e.main.id.pid));
    Ok(audit)
}

/// `None` when the container has ended.
fn gather(
    scanner: &mut Scanner,
    group: &members::Group,
    workload: Option<&Workload>,
) -> Result<Option<Facts>, Error> {
    let mut notes = Notes(Vec::new());
    let Some(main) = group.main() else {
        return Ok(None);
    };
    let now = scanner.now_ticks()?;
    let Some(process) = scanner.proc.process(main.pid)? else {
        return Ok(None);
    };
    let executable = seen(process.exe())?;
    let executable = executable.as_deref().map(|path| path.to_string_lossy());
    let stop = stop::of(
        &scanner.roots.host,
        &group.container,
        executable.as_deref(),
        workload,
    );
    let mut reader = process::Reader::new(scanner, group, now, stop.signal.number);
    let Some(mut main) = reader.read(main, &mut notes)? else {
        return Ok(None);
    };
    let cgroups = seen(process.cgroups())?.unwrap_or_default();
    let frozen = holder::is_frozen(&cgroups, &scanner.hierarchies);
    hand_down(&mut main, stop.arguments);
    notes.0.extend(stop.note);
    notes.0.sort();
    notes.0.dedup();
    Ok(Some(Facts {
        container: group.container.clone(),
        signal: stop.signal,
        grace: stop.grace,
        shared_pid_namespace: !main.is_namespace_init(),
        frozen,
        connections: connections::to(scanner, &process),
        pre_stop: stop.pre_stop,
        main,
        notes: notes.0,
    }))
}

/// What the runtime started; behind an init, its command is what comes after `--`.
fn hand_down(main: &mut Process, arguments: Option<Vec<String>>) {
    let command = arguments.as_ref().and_then(|words| {
        let at = words.iter().position(|word| word == "--")?;
        words.get(at + 1..)
    });
    if let (Some(command), [child, ..]) = (command, &mut main.children[..]) {
        child.started_as = Some(command.to_vec());
    }
    main.started_as = arguments;
}
