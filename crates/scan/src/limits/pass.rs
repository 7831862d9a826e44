//! The limits of many holders in one look.

use std::cell::{OnceCell, RefCell};

use sexton_core::limit::{first_of, mark_first};
use sexton_core::{Leak, Limit, LimitKind};

use super::census::Census;
use super::levels::{self, Levels};
use super::nproc::{Count, Ids, Nproc};
use crate::{Error, Scanner};

/// The limits of many holders in one look: what they share is read once, and only when one of
/// them needs it.
///
/// It tells which limit zombies reach first, and leaves out what that does not need:
/// `vm.max_map_count`, from which no zombie takes, and how much a user has taken of his
/// `RLIMIT_NPROC` where another limit is reached before it even if every task were his.
pub struct Pass<'s> {
    scanner: &'s Scanner,
    /// Tasks of the machine.
    tasks: Option<u64>,
    /// Limits of the machine.
    node: &'s [Limit],
    ids: Ids,
    census: OnceCell<Census>,
    levels: RefCell<Levels>,
}

impl<'s> Pass<'s> {
    /// `node` are the limits of the machine, read a moment ago ([`super::of_node`]).
    #[must_use]
    pub fn new(scanner: &'s Scanner, node: &'s [Limit]) -> Self {
        Self {
            scanner,
            tasks: super::all_tasks(scanner.proc()),
            node,
            ids: Ids::read(scanner.proc()),
            census: OnceCell::new(),
            levels: RefCell::default(),
        }
    }

    /// Every limit that a zombie of process `pid` takes from, the one that is reached first
    /// marked; `None` if there is no such process.
    ///
    /// # Errors
    /// `/proc` cannot be listed, or nothing is known of the process.
    pub fn of(&self, pid: u32) -> Result<Option<Vec<Limit>>, Error> {
        let proc = self.scanner.proc();
        let Some(process) = proc.process(pid)? else {
            return Ok(None);
        };
        let Some(status) = process.status()? else {
            return Ok(None);
        };
        let mut limits = self.of_node()?;
        limits.extend(super::inner_pid_max(&process, &status));
        limits.extend(levels::limits(
            self.scanner,
            &process,
            &mut self.levels.borrow_mut(),
        ));
        match Nproc::read(&process, &status, &self.ids, None) {
            Some(Ok(nproc)) => {
                let first = first_of(&limits).and_then(Limit::headroom);
                let count = if self.may_be_first(&nproc, first) {
                    Count::of(self.census()?.of_user(proc, &process, nproc.uid()).as_ref())
                } else {
                    Count::Far
                };
                limits.insert(0, nproc.limit(&count));
            }
            Some(Err(unread)) => limits.insert(0, *unread),
            None => {}
        }
        mark_first(&mut limits);
        Ok(Some(limits))
    }

    /// The same of a leak's holder; why they cannot be read is a note on the leak.
    pub fn of_holder(&self, leak: &mut Leak) -> Vec<Limit> {
        match self.of(leak.holder.id.pid) {
            Ok(limits) => limits.unwrap_or_default(),
            Err(error) => {
                let note = error.to_string();
                if !leak.notes.contains(&note) {
                    leak.notes.push(note);
                }
                Vec::new()
            }
        }
    }

    fn of_node(&self) -> Result<Vec<Limit>, Error> {
        let mut limits = self.node.to_vec();
        for limit in &mut limits {
            // Of an inner PID namespace nothing but a census tells what is used.
            if limit.kind == LimitKind::PidMax && limit.used.is_none() {
                let (tasks, zombies) = self.census()?.seen();
                (limit.used, limit.zombies) = (Some(tasks), Some(zombies));
            }
        }
        Ok(limits)
    }

    /// It may leave less room than `others` do: nobody has more tasks than there are.
    fn may_be_first(&self, nproc: &Nproc, others: Option<u64>) -> bool {
        nproc.binds().is_some_and(|most| {
            let least = most.saturating_sub(self.tasks.unwrap_or(most));
            others.is_none_or(|others| least <= others)
        })
    }

    fn census(&self) -> Result<&Census, Error> {
        if let Some(census) = self.census.get() {
            return Ok(census);
        }
        let census = Census::take(self.scanner.proc())?;
        Ok(self.census.get_or_init(|| census))
    }
}
