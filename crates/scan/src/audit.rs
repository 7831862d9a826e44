//! Facts about the stop signal of each container on the node; [`sexton_core::audit`] judges.
//!
//! Reads only: one look at each process of the node for its container, and a closer one at
//! each container's main process and what hangs on it.

pub(crate) mod awaited;
mod by_hand;
mod connections;
mod looks;
mod members;
mod process;
mod stop;
mod texts;

use std::collections::BTreeMap;

use sexton_core::audit::{ExitSignal, Facts, Hook, Probe, Process, judge};
use sexton_core::{Container, Workload, text};

use crate::notes::Notes;
use crate::{Error, Scanner, holder, names};

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    /// One entry a container, the worst verdict first.
    pub exit_signals: Vec<ExitSignal>,
    /// What could not be seen.
    pub notes: Vec<String>,
    /// How many facts of processes could not be read, as in a report's `scan`.
    pub unreadable_facts: BTreeMap<String, u64>,
}

/// Looks at every container of the node that `wanted` admits. What a runtime tells of one
/// ([`Workload`]) goes before what files on the node say.
pub fn containers(
    scanner: &mut Scanner,
    workloads: &[Workload],
    wanted: impl FnMut(&Container, &[u32]) -> bool,
) -> Result<Audit, Error> {
    containers_as(scanner, workloads, &[], wanted, judge)
}

/// Exec probes of one container that are looked at; Kubernetes has three.
const MOST_PROBES: usize = 8;

/// The same, each told as `judge` tells it, with the exec probes that no file of the node tells.
pub fn containers_as(
    scanner: &mut Scanner,
    workloads: &[Workload],
    probes: &[Probe],
    mut wanted: impl FnMut(&Container, &[u32]) -> bool,
    judge: impl Fn(&Facts) -> ExitSignal,
) -> Result<Audit, Error> {
    let mut audit = Audit::default();
    let mut looked = Notes::of_viewer(scanner.viewer.sees_all);
    let (groups, unmarked) = members::by_container(scanner, &mut looked)?;
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
        if let Some(facts) = gather(scanner, &group, workload, probes, &mut looked) {
            all.push(facts);
        }
    }
    looks::again(scanner, &mut all);
    audit.exit_signals = all.iter().map(judge).collect();
    audit.unreadable_facts = looked.unreadable().clone();
    audit.notes.extend(looked.into_list());
    audit
        .exit_signals
        .sort_by_key(|e| (e.mark(), std::cmp::Reverse(e.confidence), e.main.id.pid));
    Ok(audit)
}

/// `None` when the container has ended, or nothing is known of its main process.
fn gather(
    scanner: &Scanner,
    group: &members::Group,
    workload: Option<&Workload>,
    probes: &[Probe],
    looked: &mut Notes,
) -> Option<Facts> {
    let mut notes = Notes::default();
    let main = group.main()?;
    // Where it is not known everything is taken for young.
    let now = scanner.now_ticks(&mut notes).unwrap_or(0);
    let process = looked.take(scanner.proc.process(main.pid))?;
    let executable = notes.take(process.exe());
    let executable = executable.as_deref().map(|path| path.to_string_lossy());
    let stop = stop::of(
        &scanner.roots.host,
        &group.container,
        executable.as_deref(),
        workload,
    );
    let mut reader = process::Reader::new(scanner, group, now, stop.signal.number, stop.arguments);
    let main = reader.read(main, &mut notes);
    let mut main = looked.take(main)?;
    let cgroups = notes.take(process.cgroups()).unwrap_or_default();
    let frozen = holder::is_frozen(&cgroups, &scanner.hierarchies, &mut notes);
    hand_down(&mut main);
    let script = |command: &[String]| texts::script(&process, command);
    let pre_stop = stop.pre_stop.map(|hook| Hook {
        script: script(&hook.command),
        ..hook
    });
    let mine = |probe: &&Probe| group.container.id.starts_with(&probe.container);
    let probes = stop.probes.iter().chain(probes.iter().filter(mine));
    let probes = probes.map(|probe| Probe {
        script: script(&probe.command),
        ..probe.clone()
    });
    looked.count(&notes);
    let mut notes = notes.into_list();
    notes.extend(stop.note);
    notes.sort();
    notes.dedup();
    Some(Facts {
        container: group.container.clone(),
        signal: stop.signal,
        grace: stop.grace,
        shared_pid_namespace: !main.is_namespace_init(),
        frozen,
        connections: connections::to(scanner, &process),
        pre_stop,
        probes: probes.take(MOST_PROBES).collect(),
        main,
        notes,
    })
}

/// What the runtime started; behind an init, its command is what comes after `--`.
fn hand_down(main: &mut Process) {
    let command = main.started_as.as_ref().and_then(|words| {
        let at = words.iter().position(|word| word == "--")?;
        words.get(at.saturating_add(1)..)
    });
    if let (Some(command), [child, ..]) = (command, main.children.as_mut_slice()) {
        child.started_as = Some(command.to_vec());
    }
}
