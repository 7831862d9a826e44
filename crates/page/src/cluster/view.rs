//! What the page of a cluster is drawn from. The kubectl plugin fills it from the reports.

use std::fmt;

use sexton_core::audit::Mark;
use sexton_core::policy::Mode;
use sexton_core::{LimitKind, text};

use crate::gauge::Level;

/// Everything that the page of a cluster shows.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    /// What people call it.
    pub name: String,
    /// When it was read, in seconds since 1970.
    pub read: u64,
    /// When the page is made.
    pub now: u64,
    /// Its nodes, in any order.
    pub nodes: Vec<ClusterNode>,
    /// Its policies, in the order of their names.
    pub policies: Vec<PolicyTally>,
    /// What could not be seen, one sentence each.
    pub gaps: Vec<String>,
    /// The version of whoever makes the page.
    pub version: String,
    /// Seconds after which the browser loads the page anew; `None` holds it still. The page
    /// links to `?hold` to ask for that.
    pub refresh: Option<u32>,
}

/// A node, as its agent last described it. Counts are rounded down to 1, 2, 5, 10, 20, 50….
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its name.
    pub name: String,
    /// Why what is known of it may be wrong or old: no report, the agent is down or not ready.
    pub trouble: Option<Trouble>,
    /// Zombies on it.
    pub zombies: u64,
    /// Holders of zombies.
    pub leak_count: u64,
    /// What the first of its own limits has used.
    pub pids_used_percent: u8,
    /// The limit that is reached first on it.
    pub forecast: Option<Outlook>,
    /// The worst leaks.
    pub leaks: Vec<ClusterLeak>,
    /// Containers that will not end on their stop signal.
    pub exit_signals: Vec<ClusterExit>,
    /// How many of these there are.
    pub exit_signal_count: u64,
}

/// What is wrong with what is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One word: `NoReport`, `AgentDown`, `NotReady`.
    pub word: &'static str,
    /// Why.
    pub why: String,
}

/// All zombies of one holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterLeak {
    /// `NAMESPACE/POD`, or `host`.
    pub place: String,
    /// The container in its pod.
    pub container: Option<String>,
    /// What the pod belongs to, `Deployment/crawler`.
    pub owner: Option<String>,
    /// Name of the program that ought to wait.
    pub holder: String,
    /// Its pid on the node.
    pub pid: u32,
    /// How many.
    pub zombies: u64,
    /// The ended command that is most frequent among them.
    pub command: Option<String>,
    /// Why they stay, in one sentence.
    pub cause: Option<String>,
    /// The limit that is reached first by it.
    pub forecast: Option<Outlook>,
    /// It is never touched.
    pub protected: bool,
    /// The policy that covers it.
    pub policy: Option<String>,
    /// The last step, and what came of it: `reap succeeded`.
    pub step: Option<String>,
}

/// A container that will not end on its stop signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterExit {
    /// `NAMESPACE/POD`, or `host`.
    pub place: String,
    /// The container.
    pub container: String,
    /// What the pod belongs to.
    pub owner: Option<String>,
    /// Name of its main process.
    pub process: String,
    /// The signal that a stop begins with.
    pub signal: String,
    /// What it will do.
    pub verdict: Mark,
}

/// A policy, and how many nodes follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTally {
    /// Its name.
    pub name: String,
    /// Whether it acts.
    pub mode: Mode,
    /// The newest generation that is known of; `None` for a policy from files.
    pub generation: Option<i64>,
    /// Nodes that follow that generation.
    pub following: u64,
    /// Nodes that follow an older one, or have not said.
    pub behind: u64,
    /// Why nodes refuse it, and how many of them; most first.
    pub refused: Vec<(String, u64)>,
    /// What nodes that follow it cannot do of it, and how many of them; most first.
    pub limited: Vec<(String, u64)>,
}

/// A limit that will be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outlook {
    /// Within this time.
    pub within: Within,
    /// Which.
    pub limit: LimitKind,
}

/// The steps in which reports give a forecast; the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Within {
    /// It is reached.
    Reached,
    /// So many seconds; what is written there is one of a few steps.
    Seconds(u64),
    /// Not as long as the policies are in force: what grows is taken as it comes.
    Held,
}

impl Within {
    /// As a report has it: `reached`, `10m`, `1h`, `7d`, `held`; `None` where it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "reached" => return Some(Self::Reached),
            "held" => return Some(Self::Held),
            _ => {}
        }
        let unit = match text.chars().next_back()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let number: u64 = text[..text.len() - 1].parse().ok()?;
        number.checked_mul(unit).map(Self::Seconds)
    }

    /// How near it is.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Reached | Self::Seconds(..=3_600) => Level::Bad,
            Self::Seconds(..=86_400) => Level::Warn,
            Self::Seconds(_) | Self::Held => Level::Calm,
        }
    }
}

/// `now`, `10m`, `7d`, `held`.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reached => f.write_str("now"),
            Self::Held => f.write_str("held"),
            Self::Seconds(seconds) => f.write_str(&text::duration(*seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_report() {
        let steps =
            ["reached", "10m", "1h", "6h", "1d", "7d", "held"].map(|s| Within::parse(s).unwrap());
        assert!(steps.is_sorted());
        assert_eq!(
            steps.map(|s| s.to_string()),
            ["now", "10m", "1h", "6h", "1d", "7d", "held"]
        );
        for bad in ["", "soon", "m", "-1m", "10", "99999999999999999999d", "ü"] {
            assert_eq!(Within::parse(bad), None, "{bad}");
        }
    }
}
