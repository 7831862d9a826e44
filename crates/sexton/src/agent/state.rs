//! What the agent shows: one snapshot a look, made by the thread that looks, read by the one that
//! serves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sexton_core::{Limit, ProcessId, Report};
use sexton_page::{Action, AgentState, Sample, View};

use super::clock;
use super::metrics::{self, Form};
use super::numbers::Numbers;

/// Seconds after which a browser loads the page anew.
const REFRESH: u32 = 10;

/// Shared by the two threads.
pub struct Shared {
    snapshot: Mutex<Arc<Snapshot>>,
    /// When the last look ended, in milliseconds since boot.
    looked: AtomicU64,
    /// No look for so long means that the agent hangs.
    patience: Duration,
}

/// What one look found, and what is known besides.
#[derive(Default)]
pub struct Snapshot {
    /// The report; `None` before the first look.
    pub report: Option<Report>,
    /// The limits that bind each holder.
    pub limits: BTreeMap<ProcessId, Vec<Limit>>,
    /// How the agent does.
    pub agent: AgentState,
    /// What was counted, oldest first.
    pub history: Vec<Sample>,
    /// What was done, newest first.
    pub actions: Vec<Action>,
    /// What the metrics count.
    pub numbers: Numbers,
}

impl Shared {
    /// Nothing yet.
    pub fn new(patience: Duration) -> Self {
        Self {
            snapshot: Mutex::default(),
            looked: AtomicU64::new(clock::now().uptime_millis),
            patience,
        }
    }

    /// The last one.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().clone()
    }

    /// Puts a new one in its place, and says that the agent lives.
    pub fn publish(&self, snapshot: Snapshot) {
        *self.lock() = Arc::new(snapshot);
        self.looked
            .store(clock::now().uptime_millis, Ordering::Relaxed);
    }

    /// Whether a look was made of late.
    ///
    /// # Errors
    /// The sentence, where it was not.
    pub fn is_alive(&self) -> Result<(), String> {
        let looked = self.looked.load(Ordering::Relaxed);
        let since = Duration::from_millis(clock::now().uptime_millis.saturating_sub(looked));
        if since <= self.patience {
            Ok(())
        } else {
            Err(format!("no look for {} s", since.as_secs()))
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Snapshot>> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// The page.
    pub fn page(&self, hold: bool) -> String {
        let Some(report) = &self.report else {
            return String::from("The first look is being made.");
        };
        sexton_page::node(&View {
            now: clock::unix_seconds(),
            report,
            limits: &self.limits,
            agent: &self.agent,
            history: &self.history,
            actions: &self.actions,
            refresh: (!hold).then_some(REFRESH),
        })
    }

    /// The report.
    ///
    /// # Errors
    /// Never, for this type; the signature is serde's.
    pub fn report_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.report)
    }

    /// The metrics, in the form that `accept` asks for; the content type first.
    pub fn metrics(&self, accept: Option<&str>) -> (&'static str, String) {
        let form = Form::asked_for(accept);
        (form.content_type(), metrics::render(self, form))
    }

    /// A look was made, and the agent can do what its policies ask for.
    ///
    /// # Errors
    /// The sentence, where not.
    pub fn is_ready(&self) -> Result<(), String> {
        match (&self.report, &self.agent.read_only) {
            (None, _) => Err("no look yet".to_owned()),
            (Some(_), Some(why)) => Err(why.clone()),
            (Some(_), None) => Ok(()),
        }
    }
}
