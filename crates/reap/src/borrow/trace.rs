//! `ptrace(2)`, so that a call that needs a stopped thread does not compile for a running one.
//!
//! [`Seized`] is a thread that is traced and runs; [`Seized::interrupt`] turns it into
//! [`Stopped`], which is let go when it is dropped. A thread that ends in the middle is an
//! outcome, not an error. Only requests that leave no trace when the tracer is killed are here:
//! the kernel then detaches, and the thread goes on. So no breakpoint, no single step (its
//! SIGTRAP outlives the tracer and kills), no change of the signal mask.

use std::cell::RefCell;
use std::time::{Duration, Instant};
use std::{io, ptr};

use libc::{c_int, c_long, c_uint, c_void, pid_t};

use crate::borrow::arch::Registers;
use crate::borrow::brake::Brake;
use crate::borrow::pause::Pause;
use crate::bpf::Instruction;

/// A running thread that this thread traces. One that is dropped, because it did not stop in time
/// or because of an error, is remembered: it will stop, and nobody but us can let it go on then
/// ([`let_go`]).
#[derive(Debug)]
pub(crate) struct Seized {
    thread: pid_t,
}

thread_local! {
    /// Threads that were asked to stop, and have not been let go: by their tracer.
    static LATE: RefCell<Vec<pid_t>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Seized {
    fn drop(&mut self) {
        LATE.with_borrow_mut(|late| late.push(self.thread));
    }
}

/// Lets those go that have come to a stop since they were given up; how many are still to come.
/// A thread in an uninterruptible sleep stops when that ends, and stands still until this is called
/// or this thread exits.
pub(crate) fn let_go() -> usize {
    let late = LATE.take();
    for thread in late {
        // Still late, it comes back into the list.
        let _ = Seized { thread }.await_stop(Duration::ZERO, &mut Brake::none());
    }
    LATE.with_borrow(Vec::len)
}

/// A thread that stands still until this value is dropped.
#[derive(Debug)]
pub(crate) struct Stopped {
    thread: pid_t,
}

/// What came of [`Seized::interrupt`].
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// It stands still where it was.
    Stopped(Stopped),
    /// A signal was just being delivered to it. It has been let go with its signal.
    Signalled,
    /// SIGSTOP and the like hold the whole process. It has been let go and stays stopped.
    GroupStopped,
    /// The thread ended.
    Gone,
    /// It did not stop in time, as in an uninterruptible sleep. The kernel lets go of a thread
    /// only where it stands still, or when the tracer exits.
    Late(Seized),
}

/// What came of [`Seized::seize`].
#[derive(Debug)]
pub(crate) enum Seizing {
    /// It is traced from now on.
    Seized(Seized),
    /// There is no such thread any more.
    Gone,
    /// Not allowed, or somebody else traces it: `EPERM` for both (`ptrace(2)`).
    Denied,
}

impl Seized {
    /// Begins to trace `thread`, which notices nothing.
    pub(crate) fn seize(thread: u32) -> io::Result<Seizing> {
        let thread = thread.cast_signed();
        // SAFETY: PTRACE_SEIZE takes no address; the data word holds no options.
        match unsafe { request(libc::PTRACE_SEIZE, thread, 0, ptr::null_mut()) } {
            Ok(_) => Ok(Seizing::Seized(Self { thread })),
            Err(error) => match error.raw_os_error() {
                Some(libc::ESRCH) => Ok(Seizing::Gone),
                Some(libc::EPERM | libc::EACCES) => Ok(Seizing::Denied),
                _ => Err(error),
            },
        }
    }

    /// Stops the thread, waiting for it no longer than `patience` and until `brake` is on.
    pub(crate) fn interrupt(
        self,
        patience: Duration,
        brake: &mut Brake<'_>,
    ) -> io::Result<Interrupted> {
        // SAFETY: PTRACE_INTERRUPT takes neither address nor data.
        match unsafe { request(libc::PTRACE_INTERRUPT, self.thread, 0, ptr::null_mut()) } {
            Ok(_) => self.await_stop(patience, brake),
            // It ended; the wait collects what the kernel keeps for a tracer.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                self.await_stop(patience, brake)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the stop that was asked for.
    pub(crate) fn await_stop(
        self,
        patience: Duration,
        brake: &mut Brake<'_>,
    ) -> io::Result<Interrupted> {
        let began = Instant::now();
        let mut pause = Pause::new();
        loop {
            let mut status: c_int = 0;
            // SAFETY: `status` is valid for writes for the length of the call.
            let waited = unsafe {
                libc::waitpid(self.thread, &raw mut status, libc::__WALL | libc::WNOHANG)
            };
            match waited {
                0 if began.elapsed() >= patience || brake.is_on() => {
                    return Ok(Interrupted::Late(self));
                }
                0 => pause.take(),
                -1 => {
                    let error = io::Error::last_os_error();
                    match error.raw_os_error() {
                        Some(libc::EINTR) => {}
                        // Another thread's execve took this thread away together with the trace.
                        Some(libc::ECHILD) => {
                            std::mem::forget(self);
                            return Ok(Interrupted::Gone);
                        }
                        _ => return Err(error),
                    }
                }
                _ => return Ok(self.at(status)),
            }
        }
    }

    /// Judges a wait status by `ptrace(2)`, "Attaching and detaching".
    fn at(self, status: c_int) -> Interrupted {
        let thread = self.thread;
        std::mem::forget(self);
        if !libc::WIFSTOPPED(status) {
            return Interrupted::Gone;
        }
        let stopped = Stopped { thread };
        let (event, signal) = (status >> 16, libc::WSTOPSIG(status));
        match (event, signal) {
            (libc::PTRACE_EVENT_STOP, libc::SIGTRAP) => Interrupted::Stopped(stopped),
            (libc::PTRACE_EVENT_STOP, _) => Interrupted::GroupStopped,
            _ => {
                stopped.release_with(signal);
                Interrupted::Signalled
            }
        }
    }
}

/// Why there is no filter of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoFilter {
    /// It has fewer.
    Last,
    /// The kernel does not show it: no right, no such request, or no classic BPF.
    NotShown,
}

impl Stopped {
    /// One of its seccomp filters, of which 0 was installed first.
    pub(crate) fn filter(&self, number: usize) -> io::Result<Result<Vec<Instruction>, NoFilter>> {
        /// `linux/ptrace.h`; the C library has no name for it.
        const PTRACE_SECCOMP_GET_FILTER: c_uint = 0x420c;
        /// The longest that the kernel lets in (`BPF_MAXINSNS`).
        const LONGEST: usize = 4096;
        let mut program = vec![Instruction::default(); LONGEST];
        // SAFETY: the kernel writes one filter, of which the longest fits. `Instruction` is laid
        // out as `struct sock_filter` and has no invalid values.
        let copied = unsafe {
            request(
                PTRACE_SECCOMP_GET_FILTER,
                self.thread,
                number as u64,
                program.as_mut_ptr().cast(),
            )
        };
        match copied {
            Ok(length) => {
                let length = usize::try_from(length).unwrap_or(LONGEST);
                Ok(Ok(program.get(..length).unwrap_or(&program).to_vec()))
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT) => Ok(Err(NoFilter::Last)),
                Some(libc::ESRCH) => Err(error),
                _ => Ok(Err(NoFilter::NotShown)),
            },
        }
    }

    /// Whether its system calls are stopped by the kernel for the program itself to look at
    /// (`prctl(PR_SET_SYSCALL_USER_DISPATCH)`). Kernels before 6.4 do not tell: then it is no.
    pub(crate) fn dispatches_calls(&self) -> io::Result<bool> {
        const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: c_uint = 0x4211;
        // `struct ptrace_sud_config`: mode, selector, offset, length.
        let mut config = [0_u64; 4];
        // SAFETY: the kernel writes as many bytes as it is told that there is room for.
        let told = unsafe {
            request(
                PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG,
                self.thread,
                size_of_val(&config) as u64,
                config.as_mut_ptr().cast(),
            )
        };
        match told {
            Ok(_) => Ok(config[0] != 0),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Its general registers.
    pub(crate) fn registers(&self) -> io::Result<Registers> {
        let mut registers = std::mem::MaybeUninit::<Registers>::uninit();
        // SAFETY: the thread is stopped and traced by this one; the kernel fills the whole
        // structure when it reports success, and only then is it taken as initialised.
        unsafe {
            request(
                libc::PTRACE_GETREGS,
                self.thread,
                0,
                registers.as_mut_ptr().cast(),
            )?;
            Ok(registers.assume_init())
        }
    }

    /// The eight bytes at `address` of the program that it runs now.
    pub(crate) fn peek(&self, address: u64) -> io::Result<[u8; 8]> {
        let mut word: c_long = 0;
        // SAFETY: the raw system call (unlike the C library's wrapper) stores the word through
        // the data pointer, which is valid for a `long`.
        let done = unsafe {
            libc::syscall(
                libc::SYS_ptrace,
                c_long::from(libc::PTRACE_PEEKTEXT),
                c_long::from(self.thread),
                address,
                &raw mut word,
            )
        };
        if done == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(word.to_ne_bytes())
    }

    /// Writes `bytes`, a multiple of eight, at `address`, for kernels where `/proc/PID/mem` may
    /// not write to such pages.
    pub(crate) fn poke(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let places = (address..).step_by(8);
        for (place, word) in places.zip(bytes.as_chunks::<8>().0) {
            let word = u64::from_ne_bytes(*word) as *mut c_void;
            // SAFETY: writes memory of the other process only; the caller passes an address in
            // the tail, which nothing refers to.
            unsafe { request(libc::PTRACE_POKETEXT, self.thread, place, word)? };
        }
        Ok(())
    }

    /// Writes one register, in one step: a tracer that is killed has written it or has not.
    ///
    /// `offset` is that of its field in [`Registers`].
    pub(crate) fn write_register(&self, offset: usize, value: u64) -> io::Result<()> {
        // SAFETY: writes a register of the other thread. The callers write what the arch module
        // gives them, and that module says why the thread is whole before and after.
        unsafe {
            request(
                libc::PTRACE_POKEUSER,
                self.thread,
                offset as u64,
                value as *mut c_void,
            )?;
        }
        Ok(())
    }

    /// Lets it go on.
    pub(crate) fn release(self) {
        drop(self);
    }

    /// Lets it go on with the signal for which it stopped.
    fn release_with(self, signal: c_int) {
        detach(self.thread, signal);
        std::mem::forget(self);
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        detach(self.thread, 0);
    }
}

fn detach(thread: pid_t, signal: c_int) {
    // SAFETY: PTRACE_DETACH takes a signal number for data. It fails only where the thread is
    // gone, and then there is nothing to let go.
    let _ = unsafe {
        request(
            libc::PTRACE_DETACH,
            thread,
            0,
            usize::try_from(signal).unwrap_or(0) as *mut c_void,
        )
    };
}

/// # Safety
/// `data` must be what `ptrace(2)` asks for with `what`.
unsafe fn request(
    what: c_uint,
    thread: pid_t,
    address: u64,
    data: *mut c_void,
) -> io::Result<c_long> {
    // SAFETY: passed on to the caller.
    let result = unsafe { libc::ptrace(what, thread, address as *mut c_void, data) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::thread;

    use super::*;

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn state(pid: u32) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        let (_, rest) = stat.rsplit_once(") ").expect("a stat");
        rest.chars().next().expect("a state")
    }

    fn until(pid: u32, wanted: char) {
        let began = Instant::now();
        while state(pid) != wanted {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", state(pid));
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// It would stand still for as long as the agent lives.
    #[test]
    fn a_thread_that_stops_after_it_was_given_up_is_let_go() {
        let sleeper = Command::new("sleep").arg("600").spawn().expect("sleep");
        let sleeper = Sleeper(sleeper);
        let pid = sleeper.0.id();
        until(pid, 'S');
        let mut late = 0;
        for _ in 0..1_000 {
            let Ok(Seizing::Seized(seized)) = Seized::seize(pid) else {
                println!("SKIP: trace: this user may not trace");
                return;
            };
            // No patience at all: as good as never is it there at once.
            match seized.interrupt(Duration::ZERO, &mut Brake::none()) {
                Ok(Interrupted::Late(seized)) => drop(seized),
                _ => continue,
            }
            late += 1;
            until(pid, 't');
            assert_eq!(let_go(), 0);
            until(pid, 'S');
            if late == 3 {
                return;
            }
        }
        panic!("it stopped at once each time");
    }
}
