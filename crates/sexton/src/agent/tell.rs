//! What the agent tells: its page and metrics, the cluster, its log.

use std::time::Duration;

use sexton_cluster::report::Hindrance;
use sexton_core::Report;
use sexton_core::text::arguments::program_and_script;

use super::Agent;
use super::member::Member;

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
        (self.read_only.clone().map(|m| why("OnlyLooking", m)))
            .or_else(|| paused.map(|m| why("Paused", m)))
            .or(deaf)
            .or(refused)
    }

    pub(super) fn publish(&mut self, mut report: Report) {
        if !self.settings.page_arguments {
            // The page is for all who reach the address; the audit log, which is not, tells all.
            for leak in &mut report.leaks {
                let command_line = &mut leak.holder.command_line;
                *command_line = program_and_script(command_line);
            }
        }
        let agent = self.ledger.state(
            &self.settings,
            &self.policies,
            self.read_only.as_ref(),
            self.notes(),
        );
        self.shared.publish(self.ledger.snapshot(report, agent));
    }

    /// Who does not answer, and what is off for it.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.names.notes();
        notes.extend(self.member.iter().flat_map(Member::notes));
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
