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

/// Without a look for so long, `/healthz` says that the agent hangs; for longer where looks are
/// rare.
const PATIENCE: Duration = Duration::from_secs(90);

/// Shared by the two threads.
pub struct Shared {
    snapshot: Mutex<Arc<Snapshot>>,
    /// When the last look ended, in milliseconds since boot.
    looked: AtomicU64,
    /// No look for so long, in milliseconds, means that the agent hangs.
    patience: AtomicU64,
}

/// What one look found, and what is known besides.
#[derive(Default)]
pub struct Snapshot {
    /// The report; `None` before the first look, and where the last one failed.
    pub report: Option<Arc<Report>>,
    /// Why the last look failed as a whole.
    pub failed: Option<String>,
    /// A program died of a visit: nothing is done until someone allows it.
    pub halted: bool,
    /// The time between two looks at rest, as it is by now.
    pub interval: Duration,
    /// Panics so far.
    pub panics: u64,
    /// The limits that bind each holder.
    pub limits: BTreeMap<ProcessId, Vec<Limit>>,
    /// Limits of cgroups of which much is used, zombies or not; fullest first.
    pub filling: Vec<Limit>,
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
    /// Nothing yet, of an agent that looks every `interval`.
    pub fn new(interval: Duration) -> Self {
        let shared = Self {
            snapshot: Mutex::default(),
            looked: AtomicU64::new(clock::now().uptime_millis),
            patience: AtomicU64::new(0),
        };
        shared.look_every(interval);
        shared
    }

    /// From now on a look comes every `interval`.
    pub fn look_every(&self, interval: Duration) {
        let millis = PATIENCE.max(interval.saturating_mul(3)).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.patience.store(millis, Ordering::Relaxed);
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
        let since = clock::now().uptime_millis.saturating_sub(looked);
        if since <= self.patience.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(format!("no look for {} s", since / 1_000))
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
            return match &self.failed {
                None => String::from("The first look is being made."),
                Some(why) => sexton_page::look_failed(why, &self.agent, clock::unix_seconds()),
            };
        };
        sexton_page::node(&View {
            now: clock::unix_seconds(),
            report: report.as_ref(),
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
    /// There is none: the sentence why.
    pub fn report_json(&self) -> Result<String, String> {
        let report = self.report.as_deref().ok_or_else(|| self.no_report())?;
        serde_json::to_string(report).map_err(|error| error.to_string())
    }

    fn no_report(&self) -> String {
        match &self.failed {
            None => "no look yet".to_owned(),
            Some(why) => format!("the last look failed: {why}"),
        }
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
            (None, _) => Err(self.no_report()),
            (Some(_), Some(why)) => Err(why.clone()),
            (Some(_), None) => Ok(()),
        }
    }
}
