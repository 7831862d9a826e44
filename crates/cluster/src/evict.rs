//! Evicting a pod, one at a time in the whole cluster.
//!
//! Whether it ought to be done is decided by [`sexton_core::ladder`]. Here it is done: the node
//! takes its turn by a Lease, asks for the eviction as the node, so that the API server refuses
//! pods of other nodes, and waits for the pod's processes to be gone. Disruption budgets are the
//! API server's to keep: where one forbids, the turn is given back and the pod asked for again
//! until patience is up.

mod turn;

use std::time::Duration;

use k8s_openapi::api::policy::v1::Eviction as Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::{Api, PostParams};
use sexton_core::ladder::{Opted, Rung};
use sexton_core::policy::Mode;
use sexton_core::{Owner, Pod};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Error;
use crate::client::{Clients, PATIENCE, within};
use crate::events::{About, Event, Outbox, Reason};
use crate::pause::Pause;
use crate::pods::NodePod;
use crate::told::Told;
use turn::{Turn, Turns};

/// After so long the outcome is told, whatever it is by then: the ladder waits for it.
const ENOUGH: Duration = Duration::from_secs(270);
/// Between two looks whether the pod is gone.
const LOOK: Duration = Duration::from_millis(500);
/// Pauses while a disruption budget forbids it: the first, and the longest.
const BLOCKED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// A pod that is to be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// The pod; without name, namespace and uid nothing is done.
    pub pod: Pod,
    /// What it belongs to, for events.
    pub owner: Option<Owner>,
    /// The policy that asks for it. Where that is one of the cluster's, it is asked again right
    /// before the pod is evicted, which may be minutes later.
    pub policy: String,
}

/// An eviction, and when it was asked for.
pub(crate) struct Order {
    pub eviction: Eviction,
    pub asked: std::time::Instant,
    /// Its policy is one of the cluster's.
    pub of_cluster: bool,
}

/// A pod that was to be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// The pod.
    pub pod: Pod,
    /// What became of it.
    pub end: End,
}

/// What became of an eviction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// Its processes have ended, or it was gone already.
    #[error("the pod is gone")]
    Gone,
    /// The API server has begun to delete it, and it takes its time.
    #[error("it is evicted, and its processes are still ending")]
    Ending,
    /// A disruption budget forbids it.
    #[error("its disruption budget forbids it: {0}")]
    Blocked(String),
    /// It was not this node's turn.
    #[error("it was not this node's turn to evict, but that of {0}")]
    NotOurTurn(String),
    /// The API server does not let it be done.
    #[error("{0}")]
    Refused(String),
    /// The API server does not answer.
    #[error("{0}")]
    Failed(String),
}

impl End {
    /// The processes have ended, or will.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Gone | Self::Ending)
    }

    /// Nothing was done, and it may be possible later.
    #[must_use]
    pub fn may_be_later(&self) -> bool {
        matches!(
            self,
            Self::Blocked(_) | Self::NotOurTurn(_) | Self::Failed(_)
        )
    }
}

/// Evicts pods, one after the other, for ever.
pub(crate) async fn work(
    clients: &Clients,
    settings: &crate::Settings,
    mut orders: mpsc::UnboundedReceiver<Order>,
    tell: &std::sync::mpsc::Sender<Evicted>,
    (outbox, told): (&Outbox, &Told),
) {
    let turns = Turns::new(clients.own.clone(), &settings.namespace, &settings.node);
    while let Some(order) = orders.recv().await {
        let evictor = Evictor {
            clients,
            outbox,
            told,
            order: &order,
            deadline: Instant::from_std(order.asked) + ENOUGH,
        };
        let (end, turn) = evictor.evict(&turns).await;
        let pod = order.eviction.pod;
        tracing::info!(pod = pod.name, namespace = pod.namespace, %end, "eviction");
        if tell.send(Evicted { pod, end }).is_err() {
            return;
        }
        told.ring();
        if let Some(turn) = turn {
            turn.keep(Instant::now() + settings.rest).await;
            turn.give_back().await;
        }
    }
}

struct Evictor<'a> {
    clients: &'a Clients,
    outbox: &'a Outbox,
    told: &'a Told,
    order: &'a Order,
    deadline: Instant,
}

/// What the API server says to one eviction.
enum Answer {
    Begun,
    Gone,
    Blocked(String),
    CalledOff(String),
}

impl Evictor<'_> {
    /// What became of it, and the turn where something was evicted in it.
    async fn evict<'t>(&self, turns: &'t Turns) -> (End, Option<Turn<'t>>) {
        let Pod {
            uid: Some(uid),
            name: Some(name),
            namespace: Some(namespace),
        } = &self.order.eviction.pod
        else {
            let why = "its pod is not known";
            return (End::Refused(why.to_owned()), None);
        };
        if Instant::now() >= self.deadline {
            // The last one took its time.
            return (End::NotOurTurn("another pod of this node".to_owned()), None);
        }
        let mut pause = Pause::new(BLOCKED.0, BLOCKED.1);
        let mut blocked = None;
        loop {
            let turn = match turns.take(self.deadline).await {
                Ok(turn) => turn,
                Err(turn::Lost::Other(holder)) => {
                    let end = blocked.map_or(End::NotOurTurn(holder), End::Blocked);
                    return (end, None);
                }
                Err(turn::Lost::Error(error)) => return (ended_by(&error), None),
            };
            match self.ask(namespace, name, uid, &turn).await {
                Ok(Answer::Gone) => {
                    turn.give_back().await;
                    return (End::Gone, None);
                }
                Ok(Answer::Begun) => {
                    let end = self.until_gone(uid, &turn).await;
                    return (end, Some(turn));
                }
                Ok(Answer::CalledOff(why)) => {
                    turn.give_back().await;
                    return (End::Refused(why), None);
                }
                Ok(Answer::Blocked(why)) => {
                    // Others may go meanwhile, whose budgets allow it.
                    turn.give_back().await;
                    if blocked.is_none() {
                        self.tell_blocked(&why);
                    }
                    let next = Instant::now() + pause.next();
                    if next >= self.deadline {
                        return (End::Blocked(why), None);
                    }
                    blocked = Some(why);
                    sleep_until(next).await;
                }
                Err(error) => {
                    turn.give_back().await;
                    return (ended_by(&error), None);
                }
            }
        }
    }

    /// Asks until there is an answer.
    async fn ask(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        turn: &Turn<'_>,
    ) -> Result<Answer, Error> {
        let mut pause = Pause::default();
        loop {
            turn.renew().await?;
            if let Some(why) = self.called_off(uid) {
                return Ok(Answer::CalledOff(why));
            }
            match self.create(namespace, name, uid).await {
                Ok(()) => return Ok(Answer::Begun),
                // Another pod has the name by now, or none.
                Err(Error::Refused {
                    code: 404 | 409, ..
                }) => return Ok(Answer::Gone),
                Err(Error::Refused { code: 429, message }) if is_of_budget(&message) => {
                    return Ok(Answer::Blocked(message));
                }
                Err(error) if error.passes() && !is_for_good(&error) => {
                    let next = Instant::now() + pause.next();
                    if next >= self.deadline {
                        return Err(error);
                    }
                    sleep_until(next).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Why it is not wanted any more: it may have waited for minutes.
    fn called_off(&self, uid: &str) -> Option<String> {
        let board = self.told.board();
        let opted_out = board.workloads.values().any(|workload| {
            let pod = workload.pod.as_ref();
            pod.and_then(|pod| pod.uid.as_deref()) == Some(uid) && Opted::of(workload) == Opted::Out
        });
        if opted_out {
            return Some("the pod has opted out meanwhile".to_owned());
        }
        let name = &self.order.eviction.policy;
        let mut in_force = board.policies.in_force.iter();
        let policy = in_force.find(|policy| policy.name() == name);
        let asks = policy.is_some_and(|policy| {
            let spec = &policy.spec;
            spec.mode == Mode::Enforce && !spec.paused && spec.max_rung >= Rung::Evict
        });
        (self.order.of_cluster && !asks)
            .then(|| format!("policy {name} does not ask for it any more"))
    }

    /// kube's own `Api::evict` posts `delete_options`, which the API server does not know, and the
    /// precondition would be lost.
    async fn create(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Error> {
        let eviction = Object {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            delete_options: Some(DeleteOptions {
                preconditions: Some(Preconditions {
                    uid: Some(uid.to_owned()),
                    resource_version: None,
                }),
                ..DeleteOptions::default()
            }),
        };
        let pods: Api<NodePod> = Api::namespaced(self.clients.node(), namespace);
        let post = PostParams::default();
        let asked =
            pods.create_subresource::<_, serde_json::Value>("eviction", name, &post, &eviction);
        within(PATIENCE, asked).await.map(drop)
    }

    /// The containers of the pod vanish from the board when they have ended.
    async fn until_gone(&self, uid: &str, turn: &Turn<'_>) -> End {
        loop {
            let runs = self.told.board().workloads.values().any(|workload| {
                let pod = workload.pod.as_ref();
                pod.and_then(|pod| pod.uid.as_deref()) == Some(uid)
            });
            if !runs {
                return End::Gone;
            }
            if Instant::now() >= self.deadline {
                return End::Ending;
            }
            // That it is lost does no harm any more: the eviction has begun.
            let _ = turn.renew_in_time().await;
            sleep(LOOK).await;
        }
    }

    fn tell_blocked(&self, why: &str) {
        let Eviction { pod, owner, .. } = self.order.eviction.clone();
        self.outbox.put(&Event {
            about: About::Pod { pod, owner },
            reason: Reason::EvictionBlocked,
            message: format!("Eviction because of its zombies is not allowed now: {why}"),
        });
    }
}

fn ended_by(error: &Error) -> End {
    if error.passes() && !is_for_good(error) {
        End::Failed(error.to_string())
    } else {
        End::Refused(error.to_string())
    }
}

/// API priority and fairness says 429 too.
fn is_of_budget(message: &str) -> bool {
    message.to_lowercase().contains("disruption budget") || message.contains("DisruptionBudget")
}

/// Not an error of the server's, though it says 500.
fn is_for_good(error: &Error) -> bool {
    matches!(error, Error::Refused { message, .. } if message.contains("more than one PodDisruptionBudget"))
}
