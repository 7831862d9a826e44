//! What the agent publishes after a look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sexton_core::{Limit, ProcessId, Report};
use sexton_page::{Action, AgentState, Sample, View};

use super::clock;
use super::numbers::Numbers;

/// Seconds after which a browser loads the page anew.
const REFRESH: u32 = 10;

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
