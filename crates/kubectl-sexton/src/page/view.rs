//! From what was seen to what the page shows.

use std::collections::BTreeMap;

use sexton_cluster::report::{ExitSignalLine, LeakLine, Status};
use sexton_core::cause::entries;
use sexton_page::ClusterView;
use sexton_page::cluster::{ClusterExit, ClusterLeak, ClusterNode, PolicyTally, Trouble};

use crate::leaks::step;
use crate::nodes::outlook;
use crate::policy::Tally;
use crate::seen::{Seen, SeenNode};

/// The view, without its times. `tally` adds the policies up.
pub fn view(
    seen: Seen,
    name: &str,
    tally: impl FnOnce(&BTreeMap<String, Status>) -> Vec<Tally>,
) -> ClusterView {
    let Seen { nodes, gaps } = seen;
    let cells = nodes.iter().map(node).collect();
    let reports = nodes
        .into_iter()
        .filter_map(|node| Some((node.name, node.status?)))
        .collect();
    ClusterView {
        name: name.to_owned(),
        nodes: cells,
        policies: tally(&reports).iter().map(policy).collect(),
        gaps,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..ClusterView::default()
    }
}

fn node(node: &SeenNode) -> ClusterNode {
    let SeenNode {
        name,
        state,
        status,
    } = node;
    let trouble = state.why().map(|why| Trouble {
        word: state.word(),
        why: why.to_owned(),
    });
    let Some(status) = status else {
        return ClusterNode {
            name: name.clone(),
            trouble,
            ..ClusterNode::default()
        };
    };
    ClusterNode {
        name: name.clone(),
        trouble,
        zombies: status.zombies,
        leak_count: status.leak_count,
        pids_used_percent: status.pids_used_percent,
        forecast: outlook(status.forecast.as_ref()),
        leaks: status.leaks.iter().map(leak).collect(),
        exit_signals: status.exit_signals.iter().map(exit).collect(),
        exit_signal_count: status.exit_signal_count,
    }
}

/// `NAMESPACE/POD`; what has none is of the host.
fn place(namespace: Option<&str>, pod: Option<&str>) -> String {
    match (namespace, pod) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        (None, Some(pod)) => pod.to_owned(),
        (_, None) => "host".to_owned(),
    }
}

fn leak(leak: &LeakLine) -> ClusterLeak {
    let title = |id: &String| {
        let entry = entries().iter().find(|entry| entry.id == id);
        entry.map_or_else(|| id.clone(), |entry| entry.title.to_owned())
    };
    ClusterLeak {
        place: place(leak.namespace.as_deref(), leak.pod.as_deref()),
        container: leak.container.clone(),
        owner: leak.owner.clone(),
        holder: leak.holder.clone(),
        pid: leak.pid,
        zombies: leak.zombies,
        command: leak.command.clone(),
        cause: leak.cause.as_ref().map(title),
        forecast: outlook(leak.forecast.as_ref()),
        protected: leak.protected,
        policy: leak.policy.clone(),
        step: step(leak),
    }
}

fn exit(exit: &ExitSignalLine) -> ClusterExit {
    ClusterExit {
        place: place(exit.namespace.as_deref(), exit.pod.as_deref()),
        container: exit.container.clone(),
        owner: exit.owner.clone(),
        process: exit.process.clone(),
        signal: exit.signal.clone(),
        verdict: exit.verdict,
    }
}

fn policy(tally: &Tally) -> PolicyTally {
    let counted = |remarks: &[crate::policy::Remark]| {
        let counted = remarks
            .iter()
            .map(|r| (r.message.clone(), r.nodes.len() as u64));
        counted.collect()
    };
    PolicyTally {
        name: tally.name.clone(),
        mode: tally.mode,
        generation: tally.generation,
        following: tally.following,
        behind: tally.behind.len() as u64,
        refused: counted(&tally.refused),
        limited: counted(&tally.limited),
    }
}
