//! What is known of a leak at the moment of the decision.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::cause::{First, kind_of_first};
use crate::policy::ANNOTATION;
use crate::workload;
use crate::{Leak, ProcessId, RestartPolicy, SigchldAction, Tenure, Workload};

/// What is known of a leak at the moment of the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The holder.
    pub holder: ProcessId,
    /// Its container's id; `None` for a process of the host.
    pub container: Option<String>,
    /// The container's place, which stays when it is restarted under a new id: its pod and its
    /// name in it, else its id.
    pub place: Option<String>,
    /// All its zombies.
    pub zombies: u64,
    /// Those that have been dead for the settle time of the policy.
    pub settled: u64,
    /// Which zombies these are.
    pub fingerprint: Fingerprint,
    /// Why the holder is never touched ([`crate::protect`]).
    pub protected: Option<String>,
    /// What its pod says of itself.
    pub opted: Opted,
    /// The holder is the first process of its container.
    pub container_init: bool,
    /// SIGCHLD may make it wait: it has a handler and does not block the signal.
    pub nudge_may_help: bool,
    /// Why the holder cannot be made to wait; the same holds for autoreap.
    pub reap_refusal: Option<Refusal>,
    /// The kernel reaps its future children already.
    pub autoreaps: bool,
    /// It only keeps its container open and never waits.
    pub keep_alive: bool,
    /// Something above the holder is known to reap what would come to it.
    pub adopter_reaps: bool,
    /// Why no container can be restarted from here, whatever container it is.
    pub restart_refusal: Option<Refusal>,
    /// Whether its container is started again.
    pub restart: RestartPolicy,
    /// Why its pod cannot be evicted from here, whatever pod it is.
    pub evict_refusal: Option<Refusal>,
    /// What the API server says of its pod that bears on evicting it.
    pub tenure: Option<Tenure>,
    /// Use of the limit that the holder reaches first, in percent, rounded down; 100 only at the
    /// limit itself.
    pub limit_used_percent: Option<u8>,
}

/// What a pod says of itself by `sexton.dev/reap`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opted {
    /// Nothing.
    #[default]
    Unsaid,
    /// `enabled`.
    In,
    /// `disabled`.
    Out,
    /// It is in a pod, and nobody here can read the pod's annotations. Nothing that ends
    /// something is done then.
    Unreadable,
}

impl Opted {
    /// What the pod or the container says by its annotations and labels. Who says both is left
    /// alone.
    #[must_use]
    pub fn of(workload: &Workload) -> Self {
        let said = [&workload.annotations, &workload.labels].map(|map| map.get(ANNOTATION));
        let says = |word: &str| said.iter().flatten().any(|value| *value == word);
        if says("disabled") {
            Self::Out
        } else if says("enabled") {
            Self::In
        } else {
            Self::Unsaid
        }
    }
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The sentence.
    pub why: String,
    /// It passes: a debugger is attached, the container is paused. Such a thing is waited for;
    /// nothing is ended for it.
    pub passing: bool,
}

/// What neither the report nor the runtime tells of a leak: what was found out on the node. The
/// fields are those of [`Evidence`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // said there
pub struct Findings {
    pub settled: u64,
    pub reap_refusal: Option<Refusal>,
    pub adopter_reaps: bool,
    pub limit_used_percent: Option<u8>,
    pub restart_refusal: Option<Refusal>,
    pub evict_refusal: Option<Refusal>,
}

impl Evidence {
    /// What the report and the runtime tell of `leak`, and what was found out besides.
    #[must_use]
    pub fn of(leak: &Leak, workload: Option<&Workload>, found: Findings) -> Self {
        let holder = &leak.holder;
        let container = leak.container.as_ref();
        Self {
            holder: holder.id,
            container: container.map(|container| container.id.clone()),
            place: container.map(|_| place(leak, workload)),
            zombies: leak.zombies,
            settled: found.settled,
            fingerprint: Fingerprint::of(leak),
            protected: leak.protected.clone(),
            opted: opted(leak, workload),
            // Of a namespace inside the container too: nothing there adopts its children.
            container_init: holder.namespace_init,
            nudge_may_help: holder.sigchld == SigchldAction::Caught && !holder.sigchld_blocked,
            reap_refusal: found.reap_refusal,
            autoreaps: holder.sigchld == SigchldAction::Ignored,
            keep_alive: kind_of_first(holder.executable.as_deref(), &holder.command_line)
                == First::KeepAlive,
            adopter_reaps: found.adopter_reaps,
            restart_refusal: found.restart_refusal,
            restart: workload.map_or(RestartPolicy::Unknown, |workload| workload.restart),
            evict_refusal: found.evict_refusal,
            tenure: workload.and_then(|workload| workload.tenure),
            limit_used_percent: found.limit_used_percent,
        }
    }

    /// Outside any container.
    #[must_use]
    pub fn is_host_process(&self) -> bool {
        self.container.is_none()
    }

    /// Nobody can fork any more.
    #[must_use]
    pub fn at_the_limit(&self) -> bool {
        self.limit_used_percent.is_some_and(|used| used >= 100)
    }
}

fn place(leak: &Leak, workload: Option<&Workload>) -> String {
    let container = leak.container.as_ref();
    let pods = [
        workload.and_then(|workload| workload.pod.as_ref()),
        container.and_then(|container| container.pod.as_ref()),
    ];
    let uid = pods
        .into_iter()
        .flatten()
        .find_map(|pod| pod.uid.as_deref());
    let name = workload
        .and_then(|workload| workload.name.as_deref())
        .or_else(|| container?.name.as_deref());
    workload::place(uid, name, container.map_or("", |container| &container.id))
}

fn opted(leak: &Leak, workload: Option<&Workload>) -> Opted {
    let Some(workload) = workload else {
        let in_pod = leak.container.as_ref().is_some_and(|c| c.pod.is_some());
        return if in_pod {
            Opted::Unreadable
        } else {
            Opted::Unsaid
        };
    };
    Opted::of(workload)
}

/// Which evidence a step was taken on: a digest of the holder, the number of its zombies and
/// the oldest of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Of a leak as a scan shows it.
    #[must_use]
    pub fn of(leak: &Leak) -> Self {
        let mut digest = Self(FNV_BASIS);
        let ids = std::iter::once(leak.holder.id).chain(leak.sample.iter().map(|z| z.id));
        for id in ids {
            digest.add(u64::from(id.pid));
            digest.add(id.start_ticks);
        }
        digest.add(leak.zombies);
        digest
    }

    /// FNV-1a: the same on every machine and in every version, since it is written down.
    fn add(&mut self, number: u64) {
        for byte in number.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
