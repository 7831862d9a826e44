//! Whose turn it is: a Lease that all agents contend for.
//!
//! As in client-go's leader election, time is measured by whoever watches and never compared
//! between machines: a Lease whose holder has not renewed it for as long as it says, since it was
//! first seen so, is free. A holder acts only while its own last renewal is fresh by its own clock,
//! with room for one request, so that no two act at once.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep, sleep_until};

use crate::Error;
use crate::client::{PATIENCE, within};
use crate::pause::Pause;

/// Its name.
const NAME: &str = "sexton-evictions";
/// After so long without a renewal it is free.
const LASTS: Duration = Duration::from_secs(60);
const LASTS_SECONDS: i32 = 60;
/// It is renewed so often.
const RENEW: Duration = Duration::from_secs(15);
/// Whoever holds it may say how long it lasts, but not more than this.
const LONGEST: Duration = Duration::from_secs(300);
/// Between two looks whether it is free: the first, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// Where turns are taken.
pub(super) struct Turns {
    leases: Api<Lease>,
    namespace: String,
    node: String,
}

/// Why it is not ours.
pub(super) enum Lost {
    /// Another node has it.
    Other(String),
    /// It cannot be asked for.
    Error(Error),
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// This node's turn.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    /// As it was last written; none when it was lost.
    lease: Cell<Option<Lease>>,
    renewed: Cell<Instant>,
}

/// A Lease of somebody else, as it has been since.
struct Seen {
    state: (Option<String>, Option<MicroTime>, Option<i32>),
    since: Instant,
}

impl Turns {
    pub(super) fn new(client: Client, namespace: &str, node: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            node: node.to_owned(),
        }
    }

    /// Waits for this node's turn until `deadline`.
    pub(super) async fn take(&self, deadline: Instant) -> Result<Turn<'_>, Lost> {
        let mut seen: Option<Seen> = None;
        let mut pause = Pause::new(LOOKS.0, LOOKS.1);
        loop {
            let why = match self.try_once(&mut seen).await {
                Ok(Ok(turn)) => return Ok(turn),
                Ok(Err(holder)) => Lost::Other(holder),
                Err(error) if error.passes() => Lost::Error(error),
                Err(error) => return Err(error.into()),
            };
            let next = Instant::now() + pause.next();
            if next >= deadline {
                return Err(why);
            }
            sleep_until(next).await;
        }
    }

    /// The turn, or who has it.
    async fn try_once(&self, seen: &mut Option<Seen>) -> Result<Result<Turn<'_>, String>, Error> {
        let now = Instant::now();
        let Some(mut lease) = within(PATIENCE, self.leases.get_opt(NAME)).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(NAME.to_owned()),
                    namespace: Some(self.namespace.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.held(None)),
            };
            let made = within(PATIENCE, self.leases.create(&PostParams::default(), &lease)).await;
            return self.taken(made, now);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if !holder.is_empty() && holder != self.node {
            let state = (
                spec.holder_identity.clone(),
                spec.renew_time.clone(),
                spec.lease_transitions,
            );
            let same = seen.take().filter(|seen| seen.state == state);
            let since = same.map_or(now, |seen| seen.since);
            *seen = Some(Seen { state, since });
            let says = spec.lease_duration_seconds.unwrap_or(LASTS_SECONDS);
            let lasts = u64::try_from(says).map_or(LASTS, Duration::from_secs);
            if now < since + lasts.min(LONGEST) {
                return Ok(Err(holder));
            }
        }
        lease.spec = Some(self.held(Some(&spec)));
        let taken = self.replace(&lease).await;
        self.taken(taken, now)
    }

    fn taken(
        &self,
        answer: Result<Lease, Error>,
        asked: Instant,
    ) -> Result<Result<Turn<'_>, String>, Error> {
        match answer {
            Ok(lease) => Ok(Ok(Turn {
                turns: self,
                lease: Cell::new(Some(lease)),
                // From before it was written: nobody else counts from earlier.
                renewed: Cell::new(asked),
            })),
            // Somebody was faster.
            Err(Error::Refused { code: 409, .. }) => Ok(Err("another node".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// The resource version in it makes the server refuse what somebody else has changed since.
    async fn replace(&self, lease: &Lease) -> Result<Lease, Error> {
        let post = PostParams::default();
        within(PATIENCE, self.leases.replace(NAME, &post, lease)).await
    }

    fn held(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.filter(|spec| spec.holder_identity.as_ref() == Some(&self.node));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.node.clone()),
            lease_duration_seconds: Some(LASTS_SECONDS),
            acquire_time: ours
                .and_then(|spec| spec.acquire_time.clone())
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if ours.is_some() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..LeaseSpec::default()
        }
    }
}

impl Turn<'_> {
    /// Makes sure that it is ours for long enough to act.
    ///
    /// # Errors
    /// It is not, or nobody can tell.
    pub(super) async fn renew(&self) -> Result<(), Error> {
        let fresh = self.renewed.get() + LASTS - PATIENCE * 2;
        if Instant::now() < fresh.min(self.renewed.get() + RENEW) {
            return Ok(());
        }
        let lost = || Error::Refused {
            code: 409,
            message: "the turn to evict was lost".to_owned(),
        };
        let Some(mut lease) = self.lease.take() else {
            return Err(lost());
        };
        let asked = Instant::now();
        lease.spec = Some(self.turns.held(lease.spec.as_ref()));
        match self.turns.replace(&lease).await {
            Ok(lease) => {
                self.lease.set(Some(lease));
                self.renewed.set(asked);
                Ok(())
            }
            Err(Error::Refused { code: 409, .. }) => Err(lost()),
            Err(error) => {
                self.lease.set(Some(lease));
                if error.passes() && Instant::now() < fresh {
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    /// The same, when it is time for it.
    pub(super) async fn renew_in_time(&self) -> Result<(), Error> {
        if Instant::now() < self.renewed.get() + RENEW {
            return Ok(());
        }
        self.renew().await
    }

    /// Keeps it until then.
    pub(super) async fn keep(&self, until: Instant) {
        while Instant::now() < until && self.renew_in_time().await.is_ok() {
            let next = (self.renewed.get() + RENEW).min(until);
            sleep_until(next.max(Instant::now() + Duration::from_secs(1))).await;
        }
    }

    /// Lets the next have it. Where that fails, it expires.
    pub(super) async fn give_back(self) {
        let Some(mut lease) = self.lease.take() else {
            return;
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        for _ in 0..3 {
            match self.turns.replace(&lease).await {
                Err(error) if error.passes() => sleep(Duration::from_secs(1)).await,
                _ => return,
            }
        }
    }
}
