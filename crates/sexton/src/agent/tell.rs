//! What the agent tells: its page and metrics, the cluster, its log.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use sexton_cluster::report::Hindrance;
use sexton_core::text::arguments::program_and_script;
use sexton_core::{Report, text};

use super::member::Member;
use super::snapshot::Snapshot;
use super::{Agent, guard};

impl Agent {
    /// Tells the cluster.
    pub(super) fn tell(&mut self, report: &Report, uptime: Duration) {
        let hindrance = self.hindrance();
        if let Some(member) = &mut self.member {
            member.looked(report, self.policies.states(), hindrance.as_ref(), uptime);
        }
    }

    /// Why this node does not do what its policies ask for.
    fn hindrance(&self) -> Option<Hindrance> {
        let why = |reason: &str, message: String| Hindrance {
            reason: reason.to_owned(),
            message,
        };
        let refused = self.policies.states().iter().find_map(|state| {
            let message = state.message.as_ref()?;
            Some(why("PolicyRefused", format!("{}: {message}", state.name)))
        });
        let deaf = self
            .member
            .as_ref()
            .filter(|member| !member.policies().synced)
            .map(|_| {
                let message = "the API server has not told the policies yet";
                why("PoliciesUnknown", message.to_owned())
            });
        let paused = self.ledger.paused.clone();
        let looking = match self.halt.why() {
            Some(_) => "Halted",
            None => "OnlyLooking",
        };
        (self.read_only.clone().map(|m| why(looking, m)))
            .or_else(|| paused.map(|m| why("Paused", m)))
            .or(deaf)
            .or(refused)
    }

    /// Tells the cluster that what it was told last is old.
    pub(super) fn tell_failed(&mut self, why: &str) {
        let hindrance = Hindrance {
            reason: "LookFailed".to_owned(),
            message: format!("the figures are of an earlier look: {why}"),
        };
        if let Some(member) = &mut self.member {
            member.look_failed(&hindrance);
        }
    }

    /// A report as the page may show it: that is for all who reach the address; the audit log,
    /// which is not, tells all.
    pub(super) fn shown(&self, report: &Arc<Report>) -> Arc<Report> {
        if self.settings.page_arguments {
            return report.clone();
        }
        let mut shown = Report::clone(report);
        for leak in &mut shown.leaks {
            let command_line = &mut leak.holder.command_line;
            *command_line = program_and_script(command_line);
        }
        Arc::new(shown)
    }

    /// Shows what a look has found, or why it failed, and has the service manager know that the
    /// agent lives.
    pub(super) fn publish(&mut self, report: Option<&Arc<Report>>, failed: Option<&str>) {
        let agent = self.ledger.state(
            self.interval(),
            &self.policies,
            self.read_only.as_ref(),
            self.notes(),
        );
        self.shared.publish(Snapshot {
            halted: self.halt.why().is_some(),
            interval: self.interval(),
            panics: guard::panics(),
            filling: self.filling.clone(),
            ..self.ledger.snapshot(report, failed, agent)
        });
        let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Watchdog]);
    }

    /// Who does not answer, and what is off for it.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.names.notes();
        notes.extend(self.member.iter().flat_map(Member::notes));
        if self.is_braked() {
            notes.push(format!(
                "looks cost much here: one is made every {} and not every {}, so that the agent \
                 takes no more than a tenth of a core",
                text::duration(self.interval().as_secs()),
                text::duration(self.settings.interval.as_secs())
            ));
        }
        notes
    }

    pub(super) fn say_policies(&self) {
        for problem in self.policies.problems() {
            tracing::error!(%problem, "policies are not as they should be; those before stay in force");
        }
        let files = self
            .policies
            .loaded()
            .iter()
            .map(|l| l.file.display().to_string());
        let sources = files.chain(std::iter::repeat("the cluster".to_owned()));
        for (policy, from) in self.policies.in_force().iter().zip(sources) {
            tracing::info!(
                policy = policy.name(),
                mode = ?policy.spec.mode,
                max_rung = %policy.spec.max_rung,
                from,
                "following"
            );
        }
        for state in self.policies.states() {
            if let Some(message) = &state.message {
                tracing::error!(policy = state.name, "not followed: {message}");
            }
        }
        if self.policies.in_force().is_empty() {
            tracing::info!("no policy: looking only");
        }
    }
}
