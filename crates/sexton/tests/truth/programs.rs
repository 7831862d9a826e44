//! Programs that are known by name: another program bears it and leaks as they are reported to.

use crate::scenario::Category::KnownProgram;
use crate::scenario::Scenario;
use crate::situation::{Situation, copy, parent};

/// Holder, how it leaks, the zombies' name, the right cause.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const AS_FIRST: &[Case] = &[
    ("argocd", "daemons", "git", &["argocd-git"]),
    ("dockerd", "daemons", "containerd-shim", &["nested-runtime"]),
    ("redis-server", "daemons", "redis-cli", &["probe-redis"]),
    ("etcd", "daemons", "etcdctl", &["probe-etcd"]),
    ("crawler", "daemons", "chrome", &["browser-orphans"]),
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    AS_FIRST
        .iter()
        .map(|&(holder, mode, zombies, first)| {
            Scenario::leak(
                KnownProgram,
                format!("{holder} with {zombies}"),
                first,
                &["pid1-does-not-adopt", "double-fork-daemon", "probe-killed"],
                move |dir| {
                    let program = copy(&parent()?, dir.path(), holder);
                    Situation::pid1(&[&program, mode, zombies, "4"])
                },
            )
        })
        .collect()
}
