//! Writes a node's report: only when it differs, seldom, and whatever the API server does in
//! between. The latest wins: what could not be told is not kept, what is true now is.

mod schedule;

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::watch;

pub use schedule::Schedule;

use crate::Error;
use crate::client::{Clients, PATIENCE, within};
use crate::crd::ZombieReport;
use crate::report::Status;
use crate::told::Told;

/// Name of what writes, as managed fields and audit logs show it.
const MANAGER: &str = "sexton-agent";
/// Label of every report.
const LABEL: (&str, &str) = ("app.kubernetes.io/name", "sexton");
/// So often somebody else may come between within one write.
const TRIES: u32 = 3;
const SUBJECT: &str = "report";

/// Writes the report of one node.
pub struct Publisher {
    api: Api<ZombieReport>,
    node: String,
    owner: Option<OwnerReference>,
    schedule: Schedule,
    wanted: Option<Status>,
    /// What stands in the cluster, as it was last seen.
    stands: Option<ZombieReport>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// What stands is what is to be told.
    Stands,
    /// It has been written.
    Written,
}

impl Publisher {
    /// For the report of this node. Nothing is asked yet.
    #[must_use]
    pub fn new(client: Client, node: &str) -> Self {
        Self {
            api: Api::all(client),
            node: node.to_owned(),
            owner: None,
            schedule: Schedule::new(node),
            wanted: None,
            stands: None,
        }
    }

    /// With the node, of this uid, as owner: its report goes when it goes.
    pub fn owned_by(&mut self, uid: &str) {
        self.owner = Some(OwnerReference {
            api_version: Node::api_version(&()).into_owned(),
            kind: Node::kind(&()).into_owned(),
            name: self.node.clone(),
            uid: uid.to_owned(),
            ..OwnerReference::default()
        });
    }

    /// From now on this is to be told. Times are counted from any one moment.
    pub fn want(&mut self, status: Status, now: Duration) {
        match &self.stands {
            Some(report) if self.settled(&status) == report.status => self.schedule.unchanged(),
            stands => {
                let before = stands.as_ref().and_then(|report| report.status.as_ref());
                let turn = before.is_some_and(|before| turned(before, &status));
                self.schedule.changed(now, turn);
            }
        }
        self.wanted = Some(status);
    }

    /// When [`Publisher::publish`] is to be called; `None` where there is nothing to tell.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.wanted.as_ref().map(|_| self.schedule.due())
    }

    /// Writes what is to be told, if what stands is something else. A report that is not there is
    /// made.
    ///
    /// # Errors
    /// The server does not answer or says no; when to try again is in [`Publisher::due`].
    pub async fn publish(&mut self, now: Duration) -> Result<Published, Error> {
        match self.write(now).await {
            Ok(published) => {
                match published {
                    Published::Stands => self.schedule.stands(now),
                    Published::Written => self.schedule.wrote(now),
                }
                Ok(published)
            }
            Err(Failure { error, retry_after }) => {
                // Whether it was written after all is not known.
                self.stands = None;
                self.schedule.failed(now, retry_after);
                Err(error)
            }
        }
    }

    async fn write(&mut self, now: Duration) -> Result<Published, Failure> {
        let Some(wanted) = self.wanted.clone() else {
            return Ok(Published::Stands);
        };
        if self.schedule.compares(now) {
            self.stands = None;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let mut report = match self.stands.take() {
                Some(report) => report,
                None => self.read_or_make().await?,
            };
            let before = report.status.take();
            let status = settled_on(&wanted, before.as_ref(), report.metadata.generation);
            if before.as_ref() == Some(&status) {
                report.status = before;
                self.stands = Some(report);
                return Ok(Published::Stands);
            }
            // The server looks at nothing else of it.
            let mut next = ZombieReport::new(&self.node, Some(status));
            next.metadata.resource_version = report.metadata.resource_version.take();
            let parameters = PostParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PostParams::default()
            };
            let written = self.api.replace_status(&self.node, &parameters, &next);
            match ask(written).await {
                Ok(mut written) => {
                    written.metadata.managed_fields = None;
                    self.stands = Some(written);
                    return Ok(Published::Written);
                }
                // Somebody else has written it, or taken it away.
                Err(failure) if failure.is(&[404, 409]) && tries < TRIES => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// What stands; where there is nothing, an empty report.
    async fn read_or_make(&self) -> Result<ZombieReport, Failure> {
        if let Some(found) = ask(self.api.get_opt(&self.node)).await? {
            return self.own(found).await;
        }
        let mut empty = ZombieReport::new(&self.node, None);
        empty.metadata.labels = Some([LABEL].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        empty.metadata.owner_references = self.owner.clone().map(|owner| vec![owner]);
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        match ask(self.api.create(&parameters, &empty)).await {
            Err(failure) if failure.is(&[409]) => ask(self.api.get(&self.node)).await,
            made => made,
        }
    }

    /// A node that was made anew under its old name is another owner.
    async fn own(&self, report: ZombieReport) -> Result<ZombieReport, Failure> {
        let Some(owner) = &self.owner else {
            return Ok(report);
        };
        let owners = report.metadata.owner_references.as_deref();
        if owners.unwrap_or_default().contains(owner) {
            return Ok(report);
        }
        let patch = Patch::Merge(json!({"metadata": {"ownerReferences": [owner]}}));
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        ask(self.api.patch(&self.node, &parameters, &patch)).await
    }

    /// `status` as it would be written now.
    fn settled(&self, status: &Status) -> Option<Status> {
        let report = self.stands.as_ref()?;
        let before = report.status.as_ref();
        Some(settled_on(status, before, report.metadata.generation))
    }
}

/// What went wrong, and how long the server wants to be left in peace (`Retry-After`).
struct Failure {
    error: Error,
    retry_after: Option<Duration>,
}

impl Failure {
    fn is(&self, codes: &[u16]) -> bool {
        self.error.code().is_some_and(|code| codes.contains(&code))
    }
}

async fn ask<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    let mut retry_after = None;
    let request = async {
        request.await.inspect_err(|error| {
            if let kube::Error::Api(status) = error {
                let details = status.details.as_ref();
                retry_after = details.map(|details| u64::from(details.retry_after_seconds));
            }
        })
    };
    let answer = within(PATIENCE, request).await;
    answer.map_err(|error| Failure {
        error,
        retry_after: retry_after.map(Duration::from_secs),
    })
}

/// `wanted` after `before`, which an earlier agent may have written: what has not turned keeps the
/// time at which it did.
fn settled_on(wanted: &Status, before: Option<&Status>, generation: Option<i64>) -> Status {
    let mut status = wanted.clone();
    for condition in &mut status.conditions {
        condition.observed_generation = generation;
        if let Some(before) = before.and_then(|before| same(&before.conditions, condition)) {
            condition.last_transition_time = before.last_transition_time.clone();
        }
    }
    status
}

/// That of `conditions` which says the same of the same.
fn same<'a>(conditions: &'a [Condition], of: &Condition) -> Option<&'a Condition> {
    conditions
        .iter()
        .find(|other| other.type_ == of.type_ && other.status == of.status)
}

fn turned(before: &Status, now: &Status) -> bool {
    now.conditions
        .iter()
        .any(|condition| same(&before.conditions, condition).is_none())
}

/// Keeps the report of the node as the latest of `statuses`, for ever.
pub(crate) async fn keep(
    clients: &Clients,
    node: &str,
    mut statuses: watch::Receiver<Option<Status>>,
    told: &Told,
) {
    let start = Instant::now();
    let mut publisher = Publisher::new(clients.own.clone(), node);
    loop {
        let latest = statuses.borrow_and_update().clone();
        if let Some(status) = latest {
            publisher.want(status, start.elapsed());
        }
        let wait = publisher
            .due()
            .map(|due| due.saturating_sub(start.elapsed()));
        match wait {
            Some(Duration::ZERO) => {}
            wait => {
                // What comes meanwhile may be due earlier.
                let wait = wait.unwrap_or(Duration::MAX);
                if let Ok(Err(_)) = tokio::time::timeout(wait, statuses.changed()).await {
                    return;
                }
                continue;
            }
        }
        if publisher.owner.is_none()
            && let Some(uid) = uid(clients, node).await
        {
            publisher.owned_by(&uid);
        }
        let outcome = publisher.publish(start.elapsed()).await;
        let failure = outcome.err();
        told.note(
            SUBJECT,
            failure.map(|error| format!("the report of the node cannot be written: {error}")),
        );
    }
}

/// That of the node's object, where the agent may see it.
async fn uid(clients: &Clients, node: &str) -> Option<String> {
    let nodes: Api<PartialObjectMeta<Node>> = Api::all(clients.node());
    let found = within(PATIENCE, nodes.get_metadata(node)).await.ok()?;
    found.metadata.uid
}

#[cfg(test)]
mod tests;
