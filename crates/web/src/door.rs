//! How many are inside at once.
//!
//! Who says nothing holds a place only until somebody else wants it: a newcomer takes the place of
//! the one that has waited longest for its own request. So a probe, which asks at once, always
//! comes in, however many clients are slow.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// Connections in all, and from one address.
const IN_ALL: usize = 256;
const OF_A_PEER: usize = 64;
/// Answers that are being made and read, in all and from one address: each is in memory.
const ANSWERS: usize = 8;
const ANSWERS_TO_A_PEER: usize = 4;

/// Who is inside, in the order in which they came.
#[derive(Default)]
pub(crate) struct Door(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    last: u64,
    visitors: VecDeque<Visitor>,
}

struct Visitor {
    id: u64,
    peer: IpAddr,
    answered: bool,
    task: AbortHandle,
}

impl Door {
    /// Lets a connection in, whose task `begin` makes; or drops it, where all places are taken by
    /// those that are being answered.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr, begin: impl FnOnce(Visit) -> AbortHandle) {
        let peer = peer.to_canonical();
        let mut inside = self.lock();
        if !inside.make_room(OF_A_PEER, |visitor| visitor.peer == peer)
            || !inside.make_room(IN_ALL, |_| true)
        {
            return;
        }
        inside.last += 1;
        let id = inside.last;
        // The task cannot end before it stands here: to leave it needs the lock.
        let task = begin(Visit {
            door: self.clone(),
            id,
        });
        inside.visitors.push_back(Visitor {
            id,
            peer,
            answered: false,
            task,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Makes one place among the visitors that `counts` tells, of which there may be `most`.
    fn make_room(&mut self, most: usize, counts: impl Fn(&Visitor) -> bool) -> bool {
        if self.visitors.iter().filter(|v| counts(v)).count() < most {
            return true;
        }
        let waits = |visitor: &Visitor| counts(visitor) && !visitor.answered;
        let Some(at) = self.visitors.iter().position(waits) else {
            return false;
        };
        if let Some(visitor) = self.visitors.remove(at) {
            visitor.task.abort();
        }
        true
    }

    fn may_be_answered(&mut self, id: u64) -> bool {
        let Some(at) = self.visitors.iter().position(|v| v.id == id) else {
            return false;
        };
        let peer = self.visitors[at].peer;
        let answers = || self.visitors.iter().filter(|v| v.answered);
        let may = answers().count() < ANSWERS
            && answers().filter(|v| v.peer == peer).count() < ANSWERS_TO_A_PEER;
        self.visitors[at].answered |= may;
        may
    }
}

/// One connection that is inside; it leaves when this is dropped.
pub(crate) struct Visit {
    door: Arc<Door>,
    id: u64,
}

impl Visit {
    /// Whether there is a place for an answer. If so, it is taken until the connection ends.
    pub(crate) fn may_be_answered(&self) -> bool {
        self.door.lock().may_be_answered(self.id)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut inside = self.door.lock();
        inside.visitors.retain(|visitor| visitor.id != self.id);
    }
}
