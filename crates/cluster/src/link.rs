//! The thread that speaks with the API server, and the handle by which the agent uses it.
//!
//! The API server may be away for as long as it likes: the agent only picks up what is known by
//! now, and leaves what is to be told. The thread starts with the agent; nothing is started later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sexton_core::Workload;

use crate::client::{self, Acting, Clients};
use crate::told::{Board, Told, lock};
use crate::{Error, Policies, pods, policies};

/// After which it is tried again to act as the node, where the server does not let the agent: it
/// may have been upgraded, or the rights granted.
const PROBE_AGAIN: Duration = Duration::from_secs(600);
/// Between two tries where the server does not answer; the second is a longest.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Where the agent is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its node.
    pub node: String,
    /// Its own namespace.
    pub namespace: String,
    /// Whether pods may be evicted.
    pub evict: bool,
}

/// The agent's link to its cluster.
pub struct Cluster {
    board: Arc<Mutex<Board>>,
}

impl Cluster {
    /// Starts the thread. `bell` is called from it when there is news to pick up.
    ///
    /// # Errors
    /// Nothing says where the API server is, or no thread can be made. That it does not answer is
    /// no error: it is asked again and again.
    pub fn start(settings: Settings, bell: impl Fn() + Send + 'static) -> Result<Self, Error> {
        Self::begin(settings, None, bell)
    }

    /// The same for an API server that is known.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(
        settings: Settings,
        config: kube::Config,
        bell: impl Fn() + Send + 'static,
    ) -> Result<Self, Error> {
        Self::begin(settings, Some(config), bell)
    }

    fn begin(
        settings: Settings,
        config: Option<kube::Config>,
        bell: impl Fn() + Send + 'static,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let config = match config {
            Some(config) => config,
            None => runtime.block_on(client::config())?,
        };
        let clients = {
            // The client takes hold of the runtime when it is made.
            let _within = runtime.enter();
            Clients::new(config, &settings.node)?
        };
        let board = Arc::new(Mutex::new(Board::default()));
        let shared = board.clone();
        thread::Builder::new()
            .name("cluster".to_owned())
            .stack_size(1 << 20)
            .spawn(move || {
                let told = Told::new(shared, bell);
                runtime.block_on(work(&settings, &clients, &told));
            })?;
        Ok(Self { board })
    }

    /// The policies as they are known by now.
    #[must_use]
    pub fn policies(&self) -> Arc<Policies> {
        lock(&self.board).policies.clone()
    }

    /// The containers of this node's pods, by their ids.
    #[must_use]
    pub fn workloads(&self) -> Arc<HashMap<String, Workload>> {
        lock(&self.board).workloads.clone()
    }

    /// What is off or fails, in one sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        lock(&self.board).notes.values().cloned().collect()
    }
}

/// Works for ever.
async fn work(settings: &Settings, clients: &Clients, told: &Told) {
    let node = as_node(settings, clients, told);
    let policies = policies::watch(clients.own.clone(), told);
    futures::join!(node, policies);
}

/// What concerns the node, in whichever name it can be asked for.
async fn as_node(settings: &Settings, clients: &Clients, told: &Told) {
    loop {
        let acting = probe(clients, told).await;
        say(settings, clients, told, &acting).await;
        let work = pods::watch(clients.node(), &settings.node, told);
        let changed = until_other(clients, acting);
        futures::pin_mut!(work, changed);
        futures::future::select(work, changed).await;
    }
}

/// Asks until there is an answer.
async fn probe(clients: &Clients, told: &Told) -> Acting {
    let mut pause = PATIENCE.0;
    loop {
        match clients.probe().await {
            Ok(acting) => return acting,
            Err(error) => told.note("pods", Some(error.to_string())),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PATIENCE.1);
    }
}

/// Ends when the agent can ask in another name than now.
async fn until_other(clients: &Clients, acting: Acting) {
    if acting == Acting::AsNode {
        // Rights that are taken away later show where they are missing.
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(PROBE_AGAIN).await;
        if clients.probe().await.is_ok_and(|now| now == Acting::AsNode) {
            return;
        }
    }
}

/// Says what is off where the agent cannot act as its node.
async fn say(settings: &Settings, clients: &Clients, told: &Told, acting: &Acting) {
    let Acting::AsItself { why } = acting else {
        told.note("node", None);
        return;
    };
    let mut off = vec![];
    let mut rights = vec![client::PODS, client::EVENTS, client::CONDITION];
    if settings.evict {
        rights.push(client::EVICTION);
    }
    for right in rights {
        if !clients.has(right).await.unwrap_or(false) {
            off.push(format!("{} ({right})", right.purpose));
        }
    }
    let off = if off.is_empty() {
        "its own rights do for all".to_owned()
    } else {
        format!("off for want of rights: {}", off.join(", "))
    };
    let note = format!(
        "the agent acts as itself and not as its node, which takes constrained impersonation \
         (Kubernetes 1.36) and the rights for it; {off}; the server says: {why}"
    );
    told.note("node", Some(note));
}
