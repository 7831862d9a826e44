//! Events: what was done, on the pod and on what it belongs to, or on the node.
//!
//! `events.k8s.io/v1`. What happens again is counted in the series of the event that is there
//! (KEP-383) and not told anew; how often is written is bounded for each event and for the node.
//! While the API server is away, what is to be told waits; when that becomes too much, the oldest
//! is dropped and counted. The record of what was done is the audit log on the node.

mod object;
mod pace;
mod queue;
mod reason;

#[cfg(test)]
mod tests;

use k8s_openapi::api::events::v1::Event as Object;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use sexton_core::{Owner, Pod};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use reason::{Reason, Stage};

use crate::Error;
use crate::client::{Clients, PATIENCE, within};
use crate::pause::Pause;
use crate::told::{Told, lock};
use object::Identity;
use pace::Bucket;
use queue::{Due, Queue};

const SUBJECT: &str = "events";

/// Something that the cluster's users ought to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whom it concerns.
    pub about: About,
    /// What it is.
    pub reason: Reason,
    /// In a sentence or two; what is beyond 1 KiB is cut off.
    pub message: String,
}

/// Whom an event concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The node: a process of the host, or all of it.
    Node,
    /// A pod, and what it belongs to.
    Pod {
        /// The pod.
        pod: Pod,
        /// What it belongs to.
        owner: Option<Owner>,
    },
}

/// Where events wait to be told. The agent puts them in, from its own thread.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: Arc<Mutex<Queue>>,
    bell: Arc<Notify>,
}

impl Outbox {
    pub(crate) fn new(node: &str) -> Self {
        Self {
            queue: Arc::new(Mutex::new(Queue::new(Identity::of(node)))),
            bell: Arc::new(Notify::new()),
        }
    }

    pub(crate) fn put(&self, event: &Event) {
        let now = jiff::Timestamp::now();
        lock(&self.queue).put(event, now, Instant::now());
        self.bell.notify_one();
    }

    fn next(&self) -> Option<Due> {
        lock(&self.queue).next(Instant::now())
    }
}

/// Tells events for ever.
pub(crate) async fn tell(clients: &Clients, outbox: &Outbox, told: &Told) {
    let mut bucket = Bucket::new(Instant::now());
    let mut pause = Pause::default();
    let mut forbidden = Pause::for_rights();
    loop {
        told.note("lost events", lock(&outbox.queue).lost());
        let Some(due) = outbox.next() else {
            outbox.bell.notified().await;
            continue;
        };
        let at = due.at.max(bucket.ready(Instant::now()));
        if at > Instant::now() {
            // Something else may be due earlier.
            let bell = outbox.bell.notified();
            let _ = tokio::time::timeout_at(at, bell).await;
            continue;
        }
        let wait = match write(clients.node(), &due).await {
            Ok(()) => {
                bucket.take(Instant::now());
                lock(&outbox.queue).written(&due, Instant::now());
                told.note(SUBJECT, None);
                pause.reset();
                forbidden.reset();
                continue;
            }
            // What it was counted on is gone: events live for an hour.
            Err(Error::Refused { code: 404, .. }) if due.again => {
                lock(&outbox.queue).begin_anew(&due);
                continue;
            }
            // Nobody is left who would read it there.
            Err(error) if is_of_a_lost_namespace(&error) => {
                lock(&outbox.queue).refused(&due);
                continue;
            }
            Err(error) if error.passes() => {
                told.note(SUBJECT, Some(format!("events wait to be told: {error}")));
                pause.next()
            }
            Err(error) if is_of_rights(&error) => {
                let note = format!("events cannot be told: {error}");
                told.note(SUBJECT, Some(note));
                forbidden.next()
            }
            Err(error) => {
                tracing::warn!(%error, reason = %due.reason, "an event was refused");
                lock(&outbox.queue).refused(&due);
                continue;
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Tells what is due, however little it may be, until nothing is left or something goes wrong.
pub(crate) async fn tell_rest(clients: &Clients, outbox: &Outbox) {
    while let Some(due) = outbox.next() {
        if write(clients.node(), &due).await.is_err() {
            return;
        }
        lock(&outbox.queue).written(&due, Instant::now());
    }
}

async fn write(client: Client, due: &Due) -> Result<(), Error> {
    let events: Api<Object> = Api::namespaced(client, &due.namespace);
    if due.again {
        let patch = Patch::Merge(&due.series);
        let parameters = PatchParams::default();
        return within(PATIENCE, events.patch(&due.name, &parameters, &patch))
            .await
            .map(drop);
    }
    match within(PATIENCE, events.create(&PostParams::default(), &due.event)).await {
        // A former try came through after all.
        Ok(_) | Err(Error::Refused { code: 409, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The namespace of the event is gone, or goes: nothing can be made in it, by nobody.
fn is_of_a_lost_namespace(error: &Error) -> bool {
    match error {
        Error::Refused { code: 404, .. } => true,
        Error::Refused { code: 403, message } => message.contains("being terminated"),
        _ => false,
    }
}

/// The agent lacks the right, whatever the event is.
fn is_of_rights(error: &Error) -> bool {
    matches!(error.code(), Some(401 | 403))
}
