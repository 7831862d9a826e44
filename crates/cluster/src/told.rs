//! What the cluster has told by now, as the agent picks it up.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sexton_core::Workload;
use sexton_core::ladder::Refusal;

use crate::policies::Policies;

/// What the cluster has told by now. Behind a lock that is never held across a wait.
pub(crate) struct Board {
    pub policies: Arc<Policies>,
    pub workloads: Arc<HashMap<String, Workload>>,
    /// The pods have been told once, all of them.
    pub pods_known: bool,
    /// By what they are about, so that one takes the place of another.
    pub notes: BTreeMap<&'static str, String>,
    /// Why no pod can be evicted from here.
    pub no_eviction: Option<Refusal>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            policies: Arc::default(),
            workloads: Arc::default(),
            pods_known: false,
            notes: BTreeMap::new(),
            no_eviction: Some(Refusal {
                why: "the API server has not answered yet".to_owned(),
                passing: true,
            }),
        }
    }
}

/// Writes on the board, and rings where it is news to the agent.
#[derive(Clone)]
pub(crate) struct Told {
    board: Arc<Mutex<Board>>,
    bell: Rc<dyn Fn()>,
}

impl Told {
    pub(crate) fn new(board: Arc<Mutex<Board>>, bell: impl Fn() + 'static) -> Self {
        Self {
            board,
            bell: Rc::new(bell),
        }
    }

    pub(crate) fn ring(&self) {
        (self.bell)();
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Says what is wrong with `subject`, or that nothing is.
    pub(crate) fn note(&self, subject: &'static str, note: Option<String>) {
        let mut board = self.board();
        let before = match &note {
            Some(text) => board.notes.insert(subject, text.clone()),
            None => board.notes.remove(subject),
        };
        drop(board);
        match note {
            Some(text) if before.as_ref() != Some(&text) => tracing::warn!(subject, "{text}"),
            None if before.is_some() => tracing::info!(subject, "recovered"),
            _ => {}
        }
    }
}

/// Nothing here can be half written: what panicked while it held the lock has changed one field.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
