//! The whole story: Debian's containerd, pods made through the CRI as the kubelet makes them,
//! programs that leak, and the agent, which heals while the programs go on.
//!
//! In each, a set of bystanders (containerd and its shims, a pod that leaks and is covered by no
//! policy, a process outside) is there before and after, the very same.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the same as for the other tests of the agent")]
#[path = "../agent/agent.rs"]
mod agent;
mod bystanders;
mod healing;
mod rungs;

use std::process::Command;

use sexton_lab::Containerd;

use agent::{Agent, Place, SEXTON};

/// An agent beside this containerd, which may use all rungs of one node.
fn agent_beside(containerd: &Containerd, place: &Place) -> Agent {
    let mut command = Command::new(SEXTON);
    place.arguments_with(&mut command, "127.0.0.1:0", containerd.socket());
    command.args(["--enable", "restart"]);
    Agent::start(command)
}

/// A policy for this pod namespace alone.
fn policy(place: &Place, namespace: &str, spec: &str) {
    place.policy(
        "story",
        &format!(
            "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {{name: story}}\n\
             spec:\n  selector: {{namespaces: [{namespace}]}}\n  mode: enforce\n  settle: 500ms\n{spec}"
        ),
    );
}
