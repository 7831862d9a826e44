//! All reasons for which an event is told.

use std::fmt;

use sexton_core::ladder::Rung;

/// Why an event is told. The name of each is what `kubectl get events` shows as its reason:
///
/// | Reason | Type | When |
/// | --- | --- | --- |
/// | `ReapStarting` | Normal | a holder is about to be made to wait for its zombies (rungs `nudge`, `reap`, `autoreap`) |
/// | `ReapSucceeded` | Normal | at least half of them are gone |
/// | `ReapFailed` | Warning | they are not, or it could not be done |
/// | `ReapDryRun` | Normal | it would be done; the policy says `dryRun` |
/// | `Terminate…` | | the same four of a holder that is ended (SIGTERM, SIGKILL) |
/// | `Restart…` | | the same four of a container that is stopped to be started again |
/// | `Evict…` | | the same four of a pod that is evicted |
/// | `EvictionBlocked` | Warning | a PodDisruptionBudget forbids it for now |
/// | `PidsExhaustionForecast` | Warning | a limit of pids will be reached |
/// | `ContainerCannotEnd` | Warning | its PID 1 is dead or dying, and something keeps it |
/// | `HolderKilled` | Warning | a program died of what was done to it; nothing more is done on the node |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Zombies are taken, and the program goes on.
    Reap(Stage),
    /// The holder is ended.
    Terminate(Stage),
    /// The container is restarted.
    Restart(Stage),
    /// The pod is evicted.
    Evict(Stage),
    /// Its disruption budget forbids it.
    EvictionBlocked,
    /// Pids will run out.
    PidsExhaustionForecast,
    /// A container is ending and cannot end.
    ContainerCannotEnd,
    /// A program died of what was done to it: the node is halted.
    HolderKilled,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// About to be taken.
    Starting,
    /// It did what it was for.
    Succeeded,
    /// It did not.
    Failed,
    /// It would have been taken.
    DryRun,
}

impl Reason {
    /// That of a step of the ladder; none for `observe`, which is no step.
    #[must_use]
    pub fn of(rung: Rung, stage: Stage) -> Option<Self> {
        match rung {
            Rung::Observe => None,
            Rung::Nudge | Rung::Reap | Rung::Autoreap => Some(Self::Reap(stage)),
            Rung::Terminate => Some(Self::Terminate(stage)),
            Rung::Restart => Some(Self::Restart(stage)),
            Rung::Evict => Some(Self::Evict(stage)),
        }
    }

    fn stage(self) -> Option<Stage> {
        match self {
            Self::Reap(stage)
            | Self::Terminate(stage)
            | Self::Restart(stage)
            | Self::Evict(stage) => Some(stage),
            Self::EvictionBlocked
            | Self::PidsExhaustionForecast
            | Self::ContainerCannotEnd
            | Self::HolderKilled => None,
        }
    }

    /// What is done, or found, in a word: the event's `action`.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Reap(_) => "Reap",
            Self::Terminate(_) => "Terminate",
            Self::Restart(_) => "Restart",
            Self::Evict(_) | Self::EvictionBlocked => "Evict",
            Self::PidsExhaustionForecast => "Forecast",
            Self::ContainerCannotEnd => "End",
            Self::HolderKilled => "Halt",
        }
    }

    /// It asks for somebody's attention.
    #[must_use]
    pub fn is_warning(self) -> bool {
        self.stage().is_none_or(|stage| stage == Stage::Failed)
    }

    /// Nothing was done.
    #[must_use]
    pub fn is_dry_run(self) -> bool {
        self.stage() == Some(Stage::DryRun)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EvictionBlocked => f.write_str("EvictionBlocked"),
            Self::PidsExhaustionForecast => f.write_str("PidsExhaustionForecast"),
            Self::ContainerCannotEnd => f.write_str("ContainerCannotEnd"),
            Self::HolderKilled => f.write_str("HolderKilled"),
            step => {
                f.write_str(step.action())?;
                match step.stage() {
                    Some(stage) => write!(f, "{stage:?}"),
                    None => Ok(()),
                }
            }
        }
    }
}
