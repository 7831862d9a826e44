//! A stop signal on its way down from a container's main process.

use super::facts::Process;

/// Inits below inits are followed no deeper.
const DEEPEST: usize = 8;

/// A signal that comes to a process, and who else gets it at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) number: u8,
    /// Seconds until SIGKILL, where they are known.
    pub(super) grace: Option<u64>,
    pub(super) reach: Reach,
    /// An init ends in good order what is left when its command has ended.
    pub(super) rest_is_ended: bool,
    depth: usize,
}

/// Who is told beside the process itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Alone,
    /// All of a process group.
    Group(u32),
    All,
}

impl Stop {
    /// As a runtime sends it: to the main process alone.
    pub(super) fn new(number: u8, grace: Option<u64>) -> Self {
        Self {
            number,
            grace,
            reach: Reach::Alone,
            rest_is_ended: false,
            depth: 0,
        }
    }

    /// As an init passes it on; `None` where that goes too deep.
    pub(super) fn passed_on(self, number: u8, reach: Reach, rest_is_ended: bool) -> Option<Self> {
        (self.depth < DEEPEST).then_some(Self {
            number,
            reach,
            rest_is_ended,
            depth: self.depth + 1,
            ..self
        })
    }

    /// This one gets the signal by itself, not through the process above it.
    pub(super) fn hears(&self, process: &Process) -> bool {
        match self.reach {
            Reach::Alone => false,
            Reach::Group(group) => process.process_group == group,
            Reach::All => true,
        }
    }

    /// Those that are killed without having been told.
    pub(super) fn unheard<'a>(&self, processes: &'a [Process]) -> Vec<&'a Process> {
        let deaf = |process: &&Process| !self.rest_is_ended && !self.hears(process);
        processes.iter().filter(deaf).collect()
    }
}
