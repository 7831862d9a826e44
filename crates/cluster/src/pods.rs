//! This node's pods as the API server has them: names, labels, owners, opt-outs.
//!
//! One watch with `spec.nodeName=NODE`, which the server answers from an index, and nothing is
//! looked up beyond it: at 5,000 nodes each further GET a pod would be felt. Of each pod only what
//! is used is read from the answer ([`NodePod`]) and kept.

mod object;
mod workload;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::Client;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use sexton_core::Workload;

pub(crate) use object::NodePod;
use workload::workloads;

use crate::Error;
use crate::told::Told;

pub(crate) const SUBJECT: &str = "pods";

/// The field selector for the pods of `node`.
pub(crate) fn of_node(node: &str) -> String {
    format!("spec.nodeName={node}")
}

/// Watches the pods of `node` for ever and tells them.
pub(crate) async fn watch(client: Client, node: &str, told: &Told) {
    // From the server's cache, as the kubelet does: a node's pods out of all pods, read from etcd,
    // is what a thousand agents that start at once must not ask for.
    let config = watcher::Config::default()
        .fields(&of_node(node))
        .any_semantic();
    let events = watcher(Api::<NodePod>::all(client), config).default_backoff();
    follow(events, told).await;
}

async fn follow(events: impl Stream<Item = watcher::Result<Event<NodePod>>>, told: &Told) {
    let mut events = std::pin::pin!(events);
    let mut known = Known::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                told.note(SUBJECT, None);
                if known.take(event, told) {
                    told.ring();
                }
            }
            Err(error) => {
                let error = Error::from(error);
                let note = format!("the pods of this node cannot be watched: {error}");
                told.note(SUBJECT, Some(note));
            }
        }
    }
}

/// Which containers are of which pod.
#[derive(Default)]
struct Known {
    by_pod: HashMap<String, Vec<String>>,
    /// Pods seen since a new list began; those that are not seen until it ends are gone.
    listed: Option<HashSet<String>>,
}

impl Known {
    /// True if it is news.
    fn take(&mut self, event: Event<NodePod>, told: &Told) -> bool {
        match event {
            Event::Init => {
                self.listed = Some(HashSet::new());
                false
            }
            Event::InitApply(pod) => {
                if let (Some(listed), Some(uid)) = (&mut self.listed, pod.uid()) {
                    listed.insert(uid.to_owned());
                }
                self.apply(&pod, told)
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone: Vec<String> = self
                    .by_pod
                    .keys()
                    .filter(|uid| !listed.contains(*uid))
                    .cloned()
                    .collect();
                for uid in &gone {
                    self.set(uid, vec![], told);
                }
                let first = !std::mem::replace(&mut told.board().pods_known, true);
                first || !gone.is_empty()
            }
            Event::Apply(pod) => self.apply(&pod, told),
            Event::Delete(pod) => pod.uid().is_some_and(|uid| self.set(uid, vec![], told)),
        }
    }

    fn apply(&mut self, pod: &NodePod, told: &Told) -> bool {
        pod.uid()
            .is_some_and(|uid| self.set(uid, workloads(pod), told))
    }

    /// Puts the containers of a pod in the place of those that it had.
    fn set(&mut self, uid: &str, workloads: Vec<Workload>, told: &Told) -> bool {
        let ids: Vec<String> = workloads.iter().map(|w| w.id.clone()).collect();
        let before = if ids.is_empty() {
            self.by_pod.remove(uid)
        } else {
            self.by_pod.insert(uid.to_owned(), ids.clone())
        };
        let gone: Vec<String> = before
            .unwrap_or_default()
            .into_iter()
            .filter(|id| !ids.contains(id))
            .collect();
        let mut board = told.board();
        let same = |workload: &Workload| board.workloads.get(&workload.id) == Some(workload);
        if gone.is_empty() && workloads.iter().all(same) {
            return false;
        }
        // A copy is made only where the agent has the former one in its hands.
        let all = Arc::make_mut(&mut board.workloads);
        for id in &gone {
            all.remove(id);
        }
        for workload in workloads {
            all.insert(workload.id.clone(), workload);
        }
        true
    }
}
