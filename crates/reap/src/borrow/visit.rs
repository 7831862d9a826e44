//! One borrowing of one thread of the holder.
//!
//! Everything up to the write of the instruction pointer changes nothing that the program can
//! see, and everything after it needs no tracer, so Sexton may be killed at any instant.

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use std::{io, thread};

use sexton_core::{SigchldAction, State};
use sexton_scan::proc::{Proc, Status};

use crate::borrow::arch::{self, Encoded, Errand, Habit, Stand};
use crate::borrow::brake::Brake;
use crate::borrow::guest;
use crate::borrow::held::{Held, NotHeld, is_gone};
use crate::borrow::pause::Pause;
use crate::borrow::tail::{Guest, Header, Tail, Unusable, Vdso};
use crate::borrow::threads::{self, Candidate};
use crate::borrow::trace::{Interrupted, Seized, Seizing, Stopped};
use crate::outcome::Trace;
use crate::seccomp::{Filters, Trust};
use crate::{Error, Refusal};

/// How long a thread may take to stop; only an uninterruptible sleep takes longer.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How long a thread that did not stop in time is waited for in the end.
const STUCK_PATIENCE: Duration = Duration::from_millis(300);
/// How long the code may take before we stop looking; a handler may run on top of it.
const CODE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a thread that has done its work is waited for, to be seen back in its call.
const LINGER: Duration = Duration::from_millis(1);
/// The same as [`CODE_PATIENCE`] when the work is called off: what it did is still to be told.
const CODE_PATIENCE_IN_HASTE: Duration = Duration::from_millis(200);

/// A holder that is ready to be visited.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) held: Held,
    pub(crate) tail: Tail,
    vdso: Vdso,
    trust: Trust,
    /// Who may still be in the tail, by our number for the thread.
    guest: Option<(u32, Guest)>,
    /// Our own code has been there.
    used: bool,
    visits: u32,
    buffer: Vec<u8>,
    /// Threads that did not stop in time.
    stuck: Vec<Seized>,
    /// There is one processor, and the holder needs it.
    alone: bool,
}

/// What came of a visit.
#[derive(Debug)]
pub(crate) enum Visit {
    /// The code runs, or has run.
    Borrowed {
        /// From the request to stop until the last zombie was gone; `None` if it is not gone.
        time: Option<Duration>,
    },
    /// The thread could not be borrowed this time; nothing was changed.
    NotNow,
    /// It ended.
    ThreadGone,
    /// The process has replaced its program.
    Replaced,
    /// SIGSTOP and the like.
    GroupStopped,
    /// Its action for SIGCHLD is not the default one any more.
    SigchldChanged,
    /// It must not be made to do this.
    Refused(Refusal),
    /// Traced by somebody else, or not allowed.
    Denied,
    /// It did not stop.
    Stuck,
}

/// What a visit is for.
pub(crate) struct Task<'a> {
    pub(crate) errand: Errand<'a>,
    /// A pidfd of the last zombie that is waited for: the work is done when it is gone. Without,
    /// the work is done when the thread is back in its call.
    pub(crate) last: Option<&'a OwnedFd>,
    /// Asked while the thread stands still, just before it is sent: whether it is still right.
    pub(crate) still_right: &'a mut dyn FnMut() -> bool,
}

/// Why no visits can be made.
#[derive(Debug)]
pub(crate) enum Unfit {
    Refused(Refusal),
    Failed(Error),
}

impl Visitor {
    /// Takes hold of the process and finds the place for the code. Reads only.
    fn new(held: Held, trust: Trust) -> Result<Self, Unfit> {
        let pid = held.id.pid;
        let vdso = held
            .vdso()
            .map_err(|error| Unfit::from(NotHeld::from(error)))?
            .unwrap_or(Err(Refusal::Gone))
            .map_err(Unfit::Refused)?;
        let (tail, left_by_another) = Tail::find(vdso, &held.memory).map_err(|why| match why {
            Unusable::Refused(refusal) => Unfit::Refused(refusal),
            Unusable::Unread(error) => match error.kind() {
                // The program went away with its memory.
                io::ErrorKind::UnexpectedEof => Unfit::Refused(Refusal::Gone),
                _ => Unfit::from(NotHeld::from(("read the [vdso]", pid, error))),
            },
        })?;
        let mut visitor = Self {
            held,
            tail,
            vdso,
            trust,
            guest: None,
            used: false,
            visits: 0,
            buffer: vec![0; tail.room],
            stuck: Vec::new(),
            alone: thread::available_parallelism().is_ok_and(|processors| processors.get() == 1),
        };
        if let Some(guest) = left_by_another {
            visitor.guest = visitor.by_our_number(guest)?.map(|thread| (thread, guest));
        }
        Ok(visitor)
    }

    /// The number by which we know a thread that is known by its container's.
    fn by_our_number(&self, guest: Guest) -> Result<Option<u32>, Unfit> {
        let failed = |error| Unfit::from(NotHeld::from(error));
        for thread in self
            .held
            .process
            .tasks()
            .map_err(failed)?
            .unwrap_or_default()
        {
            if self.inner_number(thread).map_err(failed)? == Some(guest.thread) {
                return Ok(Some(thread));
            }
        }
        Ok(None)
    }

    fn inner_number(&self, thread: u32) -> Result<Option<u32>, sexton_scan::Error> {
        let line = self.held.status_line(thread, b"NSpid:")?;
        Ok(line.and_then(|line| line.rsplit(char::is_whitespace).next()?.parse().ok()))
    }

    /// Waits until nobody can be in the tail any more; gives the thread that may be.
    pub(crate) fn await_empty(
        &mut self,
        patience: Duration,
        brake: &mut Brake<'_>,
    ) -> Result<Option<Guest>, Error> {
        let began = Instant::now();
        let mut pause = Pause::new();
        while let Some((thread, guest)) = self.guest {
            if guest::is_back(&self.held, thread, guest)?
                || guest::is_elsewhere(&self.held, self.tail, thread, guest)?
            {
                self.guest = None;
            } else if began.elapsed() >= patience || brake.is_on() {
                return Ok(Some(guest));
            } else {
                pause.take();
            }
        }
        Ok(None)
    }

    /// The thread that was not seen back, by our number.
    pub(crate) fn guest(&self) -> Option<u32> {
        self.guest.map(|(thread, _)| thread)
    }

    /// Borrows the thread of `candidate` for `task`. The caller has just looked at all that it is
    /// about.
    pub(crate) fn visit(
        &mut self,
        candidate: &Candidate,
        task: &mut Task<'_>,
        brake: &mut Brake<'_>,
    ) -> Result<Visit, Error> {
        let thread = candidate.thread;
        // Prepared before the thread stands still.
        let Some(inner) = self.inner_number(thread)? else {
            return Ok(Visit::ThreadGone);
        };
        self.visits = self.visits.wrapping_add(1);
        let began = Instant::now();
        let visit = match Seized::seize(thread).map_err(Error::system("seize", thread))? {
            Seizing::Gone => return Ok(Visit::ThreadGone),
            Seizing::Denied => return Ok(Visit::Denied),
            Seizing::Seized(seized) => {
                match seized
                    .interrupt(STOP_PATIENCE, brake)
                    .map_err(Error::system("stop", thread))?
                {
                    Interrupted::Stopped(stopped) => {
                        let sent = self.send(&stopped, candidate, inner, task);
                        stopped.release();
                        sent
                    }
                    Interrupted::Signalled => return Ok(Visit::NotNow),
                    Interrupted::GroupStopped => return Ok(Visit::GroupStopped),
                    Interrupted::Gone => return Ok(Visit::ThreadGone),
                    Interrupted::Late(seized) => {
                        self.stuck.push(seized);
                        return Ok(Visit::Stuck);
                    }
                }
            }
        };
        match visit {
            Ok(Sent::OnItsWay) => {
                let time = self.watch(began, task, brake)?;
                Ok(Visit::Borrowed { time })
            }
            Ok(Sent::NotNow) => Ok(Visit::NotNow),
            Ok(Sent::Replaced) => Ok(Visit::Replaced),
            Ok(Sent::SigchldChanged) => Ok(Visit::SigchldChanged),
            Ok(Sent::Refused(refusal)) => Ok(Visit::Refused(refusal)),
            // SIGKILL, an exit of the process or an execve takes a thread out of its stop.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(Visit::ThreadGone),
            Err(source) => Err(Error::System {
                what: "borrow a thread",
                pid: thread,
                source,
            }),
        }
    }

    /// Prepares the tail and sends the stopped thread there.
    fn send(
        &mut self,
        stopped: &Stopped,
        candidate: &Candidate,
        inner: u32,
        task: &mut Task<'_>,
    ) -> io::Result<Sent> {
        let thread = candidate.thread;
        let mut registers = stopped.registers()?;
        // First of all: this stop must not become an EINTR that the program sees. Right for the
        // thread whatever we do next.
        if arch::was_interrupted(&registers)
            && arch::habit(arch::call(&registers), &arch::arguments(&registers))
                .is_some_and(|habit| matches!(habit, Habit::Rewound(_) | Habit::ReadsDescriptor))
        {
            let (register, value) = arch::restart_unless_handled(&mut registers);
            stopped.write_register(register, value)?;
        }
        // A number alone could be that of another process's thread by now.
        let Some(status) = self.status_of(thread) else {
            return Ok(Sent::NotNow);
        };
        let filters = match Filters::of(stopped, &status, self.trust)? {
            Ok(filters) => filters,
            Err(refusal) => return Ok(Sent::Refused(refusal)),
        };
        // Nor may the kernel's own going on with the call be its death.
        while let Some(call) = arch::call_again(&registers)
            && filters.ask(&call).does_harm()
        {
            let (register, value) = arch::end_otherwise(&mut registers);
            stopped.write_register(register, value)?;
        }
        let before = stopped.peek(arch::before_pc(&registers))?;
        let in_call = arch::stand(&registers, [before[0], before[1]]) == Stand::InCall;
        let (pc, sp) = (arch::pc(&registers), arch::sp(&registers));
        // Only where it was seen asleep: it will sleep there again, which shows that it is out
        // of the tail, and what was found out about that call holds.
        let as_seen = arch::call(&registers) == candidate.sleep.call
            && (pc, sp) == (candidate.sleep.pc, candidate.sleep.sp);
        let free = match self.guest {
            None => true,
            Some((guest, at)) => guest == thread && at.pc == pc && at.sp == sp,
        };
        if !in_call || !as_seen || !free || self.tail.contains(pc) {
            return Ok(Sent::NotNow);
        }
        if stopped.dispatches_calls()? {
            return Ok(Sent::Refused(Refusal::SyscallUserDispatch));
        }
        match self.held.vdso_again(self.vdso) {
            Ok(Some(Ok(vdso))) if vdso == self.vdso => {}
            Ok(Some(Ok(vdso))) => {
                return Ok(match vdso.may_be_run() {
                    Err(refusal) => Sent::Refused(refusal),
                    Ok(()) => Sent::Replaced,
                });
            }
            Ok(Some(Err(Refusal::NoVdso))) => return Ok(Sent::Replaced),
            Ok(Some(Err(refusal))) => return Ok(Sent::Refused(refusal)),
            Ok(None) | Err(_) => return Ok(Sent::NotNow),
        }
        // After an execve there is another program, and maybe something else at this address.
        if !matches!(stopped.peek(self.tail.image), Ok(word) if word.starts_with(&Tail::MAGIC)) {
            return Ok(Sent::Replaced);
        }
        // While the thread stands still: nothing can come in between in a program of one thread,
        // and in one of several only what another does within microseconds.
        let errand = task.errand;
        if matches!(errand, Errand::DefaultSigchld { .. }) && !self.has_default_sigchld() {
            return Ok(Sent::SigchldChanged);
        }
        let header = Header {
            thread: inner,
            visit: self.visits,
            sp,
        };
        let Encoded { length, call } = arch::encode(
            &mut self.buffer,
            self.tail.base,
            &header,
            &registers,
            errand,
        );
        if let Some(refusal) = filters
            .ask_each(&call, errand.pids())
            .refusal(errand.call_name())
        {
            return Ok(Sent::Refused(refusal));
        }
        if !(task.still_right)() {
            return Ok(Sent::NotNow);
        }
        self.used = true;
        let padded = length.next_multiple_of(8).min(self.buffer.len());
        let (Some(code), Some(words)) = (self.buffer.get(..length), self.buffer.get(..padded))
        else {
            return Ok(Sent::NotNow);
        };
        let written = self.held.memory.write_all_at(code, self.tail.base);
        if let Err(error) = written {
            // Nothing is left of the memory that the file belongs to.
            if error.kind() == io::ErrorKind::WriteZero {
                return Ok(Sent::Replaced);
            }
            // Kernels where `/proc/PID/mem` may not force a write (PROC_MEM_ALWAYS_FORCE off).
            stopped.poke(self.tail.base, words)?;
        }
        // Through the thread itself: after an execve the file is that of the former program.
        let seen = stopped.peek(self.tail.base.wrapping_add(Header::VISIT as u64))?;
        if u64::from_le_bytes(seen) != header.visit_word() {
            return Ok(Sent::Replaced);
        }
        self.guest = Some((
            thread,
            Guest {
                thread: inner,
                pc,
                sp,
            },
        ));
        let (register, value) = arch::entry(self.tail.base);
        stopped.write_register(register, value)?;
        Ok(Sent::OnItsWay)
    }

    fn status_of(&self, thread: u32) -> Option<Status> {
        let status = self.held.process.read(&format!("task/{thread}/status"));
        Status::parse(&status.ok()??).ok()
    }

    fn has_default_sigchld(&self) -> bool {
        matches!(self.held.process.status(), Ok(Some(status)) if status.sigchld() == SigchldAction::Default)
    }

    /// Looks from outside until the work is done and the thread is back.
    fn watch(
        &mut self,
        began: Instant,
        task: &Task<'_>,
        brake: &mut Brake<'_>,
    ) -> Result<Option<Duration>, Error> {
        // Asked over and over for as long as it should take: a sleep would only make the time
        // that is measured longer, and the next visit later.
        let calls = task.errand.calls() as u64;
        let soon = Duration::from_micros(calls.saturating_mul(6).saturating_add(200));
        let last = task.last;
        let is_done = || last.is_some_and(is_gone);
        let mut pause = Pause::new();
        let mut time = None;
        while began.elapsed() < CODE_PATIENCE {
            if time.is_none() && is_done() {
                time = Some(began.elapsed());
                pause = Pause::new();
            }
            if let Some((thread, guest)) = self.guest
                && guest::is_back(&self.held, thread, guest)?
            {
                self.guest = None;
                // It is through with its table: what is still there was not to be had.
                if time.is_none() && (last.is_none() || is_done()) {
                    time = Some(began.elapsed());
                }
                return Ok(time);
            }
            // A thread whose call returned went on, and need not come back to it soon. The next
            // visit looks again.
            if time.is_some_and(|time| began.elapsed() > time.saturating_add(LINGER)) {
                return Ok(time);
            }
            if began.elapsed() > CODE_PATIENCE_IN_HASTE && brake.is_on() {
                break;
            }
            if began.elapsed() > soon || self.alone {
                pause.take();
            }
        }
        Ok(time)
    }

    /// Clears the tail if nobody can be in it and the kernel lets us, and gives threads that did
    /// not stop another chance to be let go, called off or not: they would stand still. What does
    /// not stop even now is told by the end of the work, and let go later ([`crate::let_go`]), or
    /// by the kernel when we exit.
    pub(crate) fn leave(&mut self, brake: &mut Brake<'_>) -> Result<Trace, Error> {
        let trace = self.clear(brake);
        for seized in std::mem::take(&mut self.stuck) {
            let _ = seized.await_stop(STUCK_PATIENCE, &mut Brake::none());
        }
        trace
    }

    fn clear(&mut self, brake: &mut Brake<'_>) -> Result<Trace, Error> {
        if !self.used {
            return Ok(Trace::Untouched);
        }
        if self.await_empty(Duration::from_secs(1), brake)?.is_some() {
            return Ok(Trace::Marked);
        }
        let began = Instant::now();
        for thread in self.held.process.tasks()?.unwrap_or_default() {
            if brake.is_on() && began.elapsed() > CODE_PATIENCE_IN_HASTE {
                return Ok(Trace::Marked);
            }
            let sleep = threads::sleep_of(&self.held, thread)?;
            if sleep.is_some_and(|sleep| self.tail.contains(sleep.pc)) {
                return Ok(Trace::Marked);
            }
        }
        self.buffer.fill(0);
        match self.held.memory.write_all_at(&self.buffer, self.tail.base) {
            Ok(()) => Ok(Trace::Cleared),
            Err(_) => Ok(Trace::Marked),
        }
    }
}

enum Sent {
    OnItsWay,
    NotNow,
    Replaced,
    SigchldChanged,
    Refused(Refusal),
}

impl From<NotHeld> for Unfit {
    fn from(why: NotHeld) -> Self {
        match why {
            NotHeld::Gone => Self::Refused(Refusal::Gone),
            NotHeld::Denied => Self::Refused(Refusal::NotPermitted),
            NotHeld::Failed(error) => Self::Failed(error),
        }
    }
}

/// Takes hold of `id` and finds the place for the code.
pub(crate) fn prepare(
    proc: &Proc,
    id: sexton_core::ProcessId,
    trust: Trust,
) -> Result<Visitor, Unfit> {
    /// How long an `execve` may take to bring the new program's mappings.
    const PAUSE: Duration = Duration::from_millis(5);
    let mut last = Refusal::Gone;
    // An execve takes the memory away between two reads, and the old mappings before it brings
    // the new ones; the next try finds the new program's.
    for _ in 0..10 {
        match Held::open(proc, id)
            .map_err(Unfit::from)
            .and_then(|held| Visitor::new(held, trust))
        {
            Err(Unfit::Refused(why @ Refusal::Gone)) => last = why,
            Err(Unfit::Refused(why @ Refusal::NoVdso)) => {
                last = why;
                thread::sleep(PAUSE);
            }
            prepared => return prepared,
        }
        let found = proc.stat(id.pid, &mut Vec::new());
        match found.map_err(|error| Unfit::from(NotHeld::from(error)))? {
            // One that was killed has lost its mappings, too.
            Some(stat) if stat.id() == id && stat.is_dead_leader() => {
                return Err(Unfit::Refused(Refusal::FirstThreadEnded));
            }
            Some(stat) if stat.id() == id && stat.state == State::Zombie => {
                return Err(Unfit::Refused(Refusal::HolderIsZombie));
            }
            Some(stat) if stat.id() == id => {}
            _ => return Err(Unfit::Refused(Refusal::Gone)),
        }
    }
    Err(Unfit::Refused(last))
}
