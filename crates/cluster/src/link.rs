//! The thread that speaks with the API server, and the handle by which the agent uses it.
//!
//! The API server may be away for as long as it likes: the agent only picks up what is known by
//! now, and leaves what is to be told. The thread starts with the agent; nothing is started later.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sexton_core::Workload;
use sexton_core::ladder::Refusal;
use tokio::sync::{Notify, mpsc, watch};

use crate::client::{self, Acting, Clients};
use crate::events::{Event, Outbox};
use crate::evict::{Evicted, Eviction, Order};
use crate::pause::Pause;
use crate::told::{Board, Told, lock};
use crate::{Error, Policies, events, evict, node_condition, pods, policies, publish, report};

/// Of each thread, in bytes. This is address space; memory is taken as far as it is used. Where
/// nothing is optimized, the watches of kube with TLS below them need more than a mebibyte.
const STACK: usize = 8 << 20;
/// A century.
const FOR_EVER: Duration = Duration::from_secs(3_155_760_000);

/// Where the agent is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its node.
    pub node: String,
    /// Its own namespace.
    pub namespace: String,
    /// Whether pods may be evicted.
    pub evict: bool,
    /// Between two evictions in the whole cluster: from when the processes of the first pod are
    /// gone. What comes in its place has to start before another is taken.
    pub rest: Duration,
}

impl Settings {
    /// Those of an agent on `node`, in its own `namespace`, with 30 s between two evictions.
    #[must_use]
    pub fn new(node: &str, namespace: &str, evict: bool) -> Self {
        Self {
            node: node.to_owned(),
            namespace: namespace.to_owned(),
            evict,
            rest: Duration::from_secs(30),
        }
    }
}

/// The agent's link to its cluster.
pub struct Cluster {
    board: Arc<Mutex<Board>>,
    statuses: watch::Sender<Option<report::Status>>,
    outbox: Outbox,
    orders: Option<mpsc::UnboundedSender<Order>>,
    ended: Receiver<Evicted>,
    stop: Arc<Notify>,
    stopped: Receiver<()>,
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
            .max_blocking_threads(1)
            .thread_keep_alive(FOR_EVER)
            .thread_stack_size(STACK)
            .enable_io()
            .enable_time()
            .build()?;
        let config = match config {
            Some(config) => config,
            None => runtime.block_on(client::config())?,
        };
        if !is_address(&config) {
            // Names are looked up on a thread of the runtime's, which is started at the first
            // look-up; at the limit of pids it could not be, and tokio panics then. So it is
            // started now and never ends.
            runtime
                .block_on(async { tokio::task::spawn_blocking(|| {}).await })
                .map_err(std::io::Error::other)?;
        }
        let clients = {
            // The client takes hold of the runtime when it is made.
            let _within = runtime.enter();
            Clients::new(config, &settings.node)?
        };
        let board = Arc::new(Mutex::new(Board::default()));
        let shared = board.clone();
        let outbox = Outbox::new(&settings.node);
        let (statuses, reports) = watch::channel(None);
        let (orders, evictions) = mpsc::unbounded_channel();
        let orders = settings.evict.then_some(orders);
        let (tell, ended) = channel();
        let (say_stopped, stopped) = channel();
        let stop = Arc::new(Notify::new());
        let (asked_to_stop, told_of) = (stop.clone(), outbox.clone());
        thread::Builder::new()
            .name("cluster".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let link = Link {
                    settings,
                    clients,
                    told: Told::new(shared, bell),
                    outbox: told_of,
                    reports,
                    tell,
                };
                runtime.block_on(async {
                    tokio::select! {
                        () = link.work(evictions) => {}
                        () = asked_to_stop.notified() => link.leave().await,
                    }
                });
                let _ = say_stopped.send(());
            })?;
        Ok(Self {
            board,
            statuses,
            outbox,
            orders,
            ended,
            stop,
            stopped,
        })
    }

    /// The policies as they are known by now. None before the pods of this node are known, or
    /// cannot be: else a new agent would act before it can read who has opted out.
    #[must_use]
    pub fn policies(&self) -> Arc<Policies> {
        let board = lock(&self.board);
        if board.pods_known || board.notes.contains_key(pods::SUBJECT) {
            board.policies.clone()
        } else {
            Arc::default()
        }
    }

    /// The containers of this node's pods, by their ids.
    #[must_use]
    pub fn workloads(&self) -> Arc<HashMap<String, Workload>> {
        lock(&self.board).workloads.clone()
    }

    /// Gives what is known of the node to those who tell it; the latest wins. Never waits.
    pub fn publish(&self, status: report::Status) {
        self.statuses.send_replace(Some(status));
    }

    /// Has something told as an event. Never waits: what happens again is counted and not told
    /// anew, and what is too much while nobody can be told is dropped, the oldest first.
    pub fn tell(&self, event: &Event) {
        self.outbox.put(event);
    }

    /// Why no pod can be evicted from here, for now or for good.
    #[must_use]
    pub fn eviction_refusal(&self) -> Option<Refusal> {
        if self.orders.is_none() {
            return Some(Refusal {
                why: "eviction is not switched on here".to_owned(),
                passing: false,
            });
        }
        lock(&self.board).no_eviction.clone()
    }

    /// Has a pod evicted; the answer comes by [`Cluster::ended`], within five minutes. False where
    /// eviction is off or the thread is gone.
    pub fn evict(&self, eviction: Eviction) -> bool {
        let Some(orders) = &self.orders else {
            return false;
        };
        let policies = self.policies();
        let of_cluster = policies
            .in_force
            .iter()
            .any(|policy| policy.name() == eviction.policy);
        let order = Order {
            eviction,
            asked: Instant::now(),
            of_cluster,
        };
        orders.send(order).is_ok()
    }

    /// The next pod that has been evicted, or could not be.
    pub fn ended(&self) -> Option<Evicted> {
        self.ended.try_recv().ok()
    }

    /// Whether the thread has ended, which it does by itself only through a defect.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        !matches!(self.stopped.try_recv(), Err(TryRecvError::Empty))
    }

    /// What is off or fails, in one sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        lock(&self.board).notes.values().cloned().collect()
    }

    /// Tells what waits to be told, takes the condition of the node away, and ends the thread.
    /// Gives up after `patience`.
    pub fn stop(self, patience: Duration) {
        self.stop.notify_one();
        let _ = self.stopped.recv_timeout(patience);
    }
}

/// The API server is named by its address, as it is in nearly every pod.
fn is_address(config: &kube::Config) -> bool {
    let host = config.cluster_url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().is_ok()
}

/// What the thread has.
struct Link {
    settings: Settings,
    clients: Clients,
    told: Told,
    outbox: Outbox,
    reports: watch::Receiver<Option<report::Status>>,
    tell: Sender<Evicted>,
}

impl Link {
    /// Works for ever.
    async fn work(&self, orders: mpsc::UnboundedReceiver<Order>) {
        let own = self.clients.own.clone();
        let policies = policies::watch(own, &self.told);
        let node = async {
            // In whose name is asked has to be known first.
            let acting = self.probe().await;
            let evictions = evict::work(
                &self.clients,
                &self.settings,
                orders,
                &self.tell,
                (&self.outbox, &self.told),
            );
            let reports = self.reports.clone();
            let node = &self.settings.node;
            let condition = node_condition::keep(&self.clients, node, reports, &self.told);
            let events = events::tell(&self.clients, &self.outbox, &self.told);
            let report = publish::keep(&self.clients, node, self.reports.clone(), &self.told);
            futures::join!(self.pods(acting), events, condition, report, evictions);
        };
        futures::join!(policies, node);
    }

    /// The last words.
    async fn leave(&self) {
        let said = self.reports.borrow().is_some();
        if said && let Err(error) = node_condition::remove(&self.clients, &self.settings.node).await
        {
            tracing::warn!(%error, "the condition of the node stays as it is");
        }
        events::tell_rest(&self.clients, &self.outbox).await;
    }

    /// The node's pods, in whichever name they can be asked for.
    async fn pods(&self, mut acting: Acting) {
        loop {
            self.say(&acting).await;
            let watch = pods::watch(self.clients.node(), &self.settings.node, &self.told);
            tokio::select! {
                () = watch => {}
                () = self.until_as_node(&acting) => {}
            }
            acting = self.probe().await;
        }
    }

    /// Asks until there is an answer.
    async fn probe(&self) -> Acting {
        let mut pause = Pause::default();
        loop {
            match self.clients.probe().await {
                Ok(acting) => {
                    self.told.note("node", None);
                    return acting;
                }
                Err(error) => self.told.note("node", Some(error.to_string())),
            }
            tokio::time::sleep(pause.next()).await;
        }
    }

    /// Ends when the agent can act as its node and did not before. Rights that are taken away
    /// later show where they are missing.
    async fn until_as_node(&self, acting: &Acting) {
        if *acting == Acting::AsNode {
            return std::future::pending().await;
        }
        // The server may be upgraded, or the rights granted.
        let mut pause = Pause::for_rights();
        loop {
            tokio::time::sleep(pause.next()).await;
            if self
                .clients
                .probe()
                .await
                .is_ok_and(|now| now == Acting::AsNode)
            {
                return;
            }
        }
    }

    /// Says what is off where the agent cannot act as its node.
    async fn say(&self, acting: &Acting) {
        let Acting::AsItself { why } = acting else {
            self.told.board().no_eviction = None;
            self.told.note("node", None);
            return;
        };
        let mut rights = vec![client::PODS, client::EVENTS, client::CONDITION];
        if self.settings.evict {
            rights.push(client::EVICTION);
        }
        let mut off = vec![];
        for right in rights {
            if !self.clients.has(right).await.unwrap_or(false) {
                off.push(right);
            }
        }
        self.told.board().no_eviction = off.contains(&client::EVICTION).then(|| Refusal {
            why: "the agent has no right to evict, neither as its node nor as itself".to_owned(),
            passing: false,
        });
        let off = if off.is_empty() {
            "its own permissions are enough for everything".to_owned()
        } else {
            let off: Vec<String> = off
                .iter()
                .map(|right| format!("{} ({right})", right.purpose))
                .collect();
            format!("disabled, missing permissions: {}", off.join(", "))
        };
        let note = format!(
            "the agent acts as itself and not as its node, which takes constrained impersonation \
             (Kubernetes 1.36) and the rights for it; {off}; the server says: {why}"
        );
        self.told.note("node", Some(note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_is_looked_up() {
        let of = |url: &str| is_address(&kube::Config::new(url.parse().unwrap()));
        assert!(of("https://10.96.0.1:443") && of("https://[fd00::1]:443"));
        assert!(!of("https://kubernetes.default.svc"));
    }

    #[test]
    fn nobody_is_started_later_though_a_name_has_to_be_looked_up() {
        let mut config = kube::Config::new("https://sexton-test.invalid:6443".parse().unwrap());
        config.root_cert = Some(vec![]);
        let settings = Settings::new("node1", "sexton", false);
        let cluster = Cluster::start_with(settings, config, || {}).unwrap();
        let ours = || {
            let threads = std::fs::read_dir("/proc/self/task").unwrap();
            let names = threads.flatten().map(|thread| {
                std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default()
            });
            names.filter(|name| name.contains("tokio")).count()
        };
        assert_eq!(ours(), 1, "it is there before anything is asked");
        while cluster.notes().len() < 2 {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ours(), 1, "{:?}", cluster.notes());
        let nothing = Eviction {
            pod: sexton_core::Pod {
                uid: None,
                name: None,
                namespace: None,
            },
            owner: None,
            policy: String::new(),
        };
        assert!(!cluster.evict(nothing), "it is off");
        assert!(
            cluster
                .eviction_refusal()
                .is_some_and(|refusal| !refusal.passing)
        );
    }
}
