//! Facts about the stop signal of each container on the node; [`sexton_core::audit`] judges.
//!
//! Reads only: one look at each process of the node for its container, and a closer one at
//! each container's main process and what hangs on it.

mod awaited;
mod members;
mod process;
mod stop;

use sexton_core::audit::{ExitSignal, Facts, judge};
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
    wanted: impl FnMut(&Container, &[u32]) -> bool,
) -> Result<Audit, Error> {
    containers_as(scanner, workloads, wanted, judge)
}

/// The same, each told as `judge` tells it.
pub fn containers_as(
    scanner: &mut Scanner,
    workloads: &[Workload],
    mut wanted: impl FnMut(&Container, &[u32]) -> bool,
    judge: impl Fn(&Facts) -> ExitSignal,
) -> Result<Audit, Error> {
    let mut audit = Audit::default();
    let (groups, unmarked) = members::by_container(scanner)?;
    if unmarked != 0 {
        let what = text::plural(unmarked as u64, "PID namespace", "PID namespaces");
        audit.notes.push(format!(
            "{what} that no runtime marked as a container left out"
        ));
    }
    for mut group in groups {
        names::complete(&scanner.roots.host, &mut group.container);
        if !wanted(&group.container, &group.pids()) {
            continue;
        }
        let workload = workloads.iter().find(|w| w.id == group.container.id);
        // One that ended meanwhile is none of the node's any more.
        if let Some(facts) = gather(scanner, &group, workload)? {
            audit.exit_signals.push(judge(&facts));
        }
    }
    audit
        .exit_signals
        .sort_by_key(|e| (e.verdict, std::cmp::Reverse(e.confidence), e.main.id.pid));
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
    let Some(main) = process::read(scanner, group, main, now, &mut notes)? else {
        return Ok(None);
    };
    let frozen = match scanner.proc.process(main.id.pid)? {
        Some(process) => {
            let cgroups = seen(process.cgroups())?.unwrap_or_default();
            holder::is_frozen(&cgroups, &scanner.hierarchies)
        }
        None => return Ok(None),
    };
    let stop = stop::of(&scanner.roots.host, &group.container, &main, workload);
    notes.0.sort();
    notes.0.dedup();
    Ok(Some(Facts {
        container: group.container.clone(),
        signal: stop.signal,
        grace: stop.grace,
        shared_pid_namespace: !main.is_namespace_init(),
        frozen,
        main,
        notes: notes.0,
    }))
}
