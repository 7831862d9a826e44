//! The calls that the actor sleeps in, and what each has to give.

use std::io;
use std::time::{Duration, Instant};

use crate::ring::Ring;
use crate::{checked, handled};

const NAP: Duration = Duration::from_millis(20);
/// The machine of the tests is shared; what is looked for is a lost wake-up, not a late one.
const LATE: Duration = Duration::from_secs(2);
const EINTR: i64 = -(libc::EINTR as i64);
const EAGAIN: i64 = -(libc::EAGAIN as i64);
const ETIMEDOUT: i64 = -(libc::ETIMEDOUT as i64);

/// Kinds of sleep, by the name of the call.
pub(crate) const KINDS: &[&str] = &[
    "nanosleep",
    "clock_nanosleep",
    "clock_nanosleep_abs",
    "poll",
    "ppoll",
    "select",
    "pselect",
    "epoll_wait",
    "epoll_wait_event",
    "epoll_long",
    "epoll_pwait",
    "epoll_pwait2",
    "futex",
    "read",
    "accept",
    "recv_timeout",
    "wait4",
    "waitid",
    "sigtimedwait",
    "semtimedop",
    "msgrcv",
    "io_uring",
    "pause",
    "sigsuspend",
];

/// When a call may give `EINTR`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interrupted {
    /// After a handler without `SA_RESTART`.
    ByPlainHandlers,
    /// After any handler: `signal(7)`, "never restarted".
    ByAnyHandler,
}

/// What one kind of sleep needs.
pub(crate) struct Sleeper {
    kind: &'static str,
    descriptor: i32,
    other: i32,
    ring: Option<Ring>,
    salt: u64,
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

impl Sleeper {
    pub(crate) fn new(kind: &str) -> io::Result<Self> {
        let kind = KINDS
            .iter()
            .find(|known| **known == kind)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut sleeper = Self {
            kind,
            descriptor: -1,
            other: -1,
            ring: None,
            salt: 1,
        };
        // SAFETY: plain calls of the C library with valid arguments.
        unsafe {
            match *kind {
                "poll" | "ppoll" | "select" | "pselect" => {
                    sleeper.descriptor = check(libc::eventfd(0, libc::EFD_CLOEXEC))?;
                }
                "epoll_wait" | "epoll_long" | "epoll_pwait" | "epoll_pwait2"
                | "epoll_wait_event" => {
                    sleeper.descriptor = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
                    sleeper.other = check(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0))?;
                    let mut event = libc::epoll_event {
                        events: libc::EPOLLIN as u32,
                        u64: 0x5e27,
                    };
                    if *kind == "epoll_wait_event" {
                        let add = libc::EPOLL_CTL_ADD;
                        let (epoll, timer) = (sleeper.descriptor, sleeper.other);
                        check(libc::epoll_ctl(epoll, add, timer, &raw mut event))?;
                    }
                    if *kind == "epoll_pwait2" {
                        // Not before Linux 5.11.
                        let now = libc::timespec {
                            tv_sec: 0,
                            tv_nsec: 0,
                        };
                        let asked = libc::syscall(
                            libc::SYS_epoll_pwait2,
                            sleeper.descriptor,
                            &raw mut event,
                            1,
                            &raw const now,
                            0,
                            8,
                        );
                        check(i32::try_from(asked).unwrap_or(-1))?;
                    }
                }
                "read" => {
                    sleeper.descriptor = check(libc::timerfd_create(libc::CLOCK_MONOTONIC, 0))?;
                }
                "accept" | "recv_timeout" => {
                    let mut pair = [0; 2];
                    check(libc::socketpair(
                        libc::AF_UNIX,
                        libc::SOCK_DGRAM,
                        0,
                        pair.as_mut_ptr(),
                    ))?;
                    sleeper.descriptor = pair[0];
                    sleeper.other = pair[1];
                    if *kind == "accept" {
                        sleeper.descriptor =
                            check(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0))?;
                        check(libc::listen(sleeper.descriptor, 1))?;
                    }
                    let timeout = libc::timeval {
                        tv_sec: 0,
                        tv_usec: NAP.as_micros() as i64,
                    };
                    check(libc::setsockopt(
                        sleeper.descriptor,
                        libc::SOL_SOCKET,
                        libc::SO_RCVTIMEO,
                        (&raw const timeout).cast(),
                        size_of::<libc::timeval>() as u32,
                    ))?;
                }
                "semtimedop" => {
                    sleeper.descriptor = check(libc::semget(libc::IPC_PRIVATE, 1, 0o600))?;
                }
                "msgrcv" => {
                    sleeper.descriptor = check(libc::msgget(libc::IPC_PRIVATE, 0o600))?;
                }
                "io_uring" => sleeper.ring = Some(Ring::new()?),
                _ => {}
            }
        }
        Ok(sleeper)
    }

    /// Sleeps once and checks all that came of it.
    pub(crate) fn sleep(&mut self) -> Result<(), String> {
        use Interrupted::{ByAnyHandler, ByPlainHandlers};

        self.salt = self
            .salt
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let mut nap = libc::timespec {
            tv_sec: 0,
            tv_nsec: NAP.as_nanos() as i64,
        };
        let mut nap_micros = [0, NAP.as_micros() as i64];
        let at = |pointer: *mut libc::timespec| pointer as u64;
        let span = at(&raw mut nap);
        let mut deadline = after_a_nap();
        let until = at(&raw mut deadline);
        let millis = NAP.as_millis() as u64;
        let fd = self.descriptor as u64;
        let mut room = [0u64; 16];
        let buffer = room.as_mut_ptr() as u64;
        let monotonic = libc::CLOCK_MONOTONIC as u64;
        let mut poll = libc::pollfd {
            fd: self.descriptor,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut word = 7u32;
        let mut operation = libc::sembuf {
            sem_num: 0,
            sem_op: -1,
            sem_flg: 0,
        };
        let handlers = handled();
        let began = Instant::now();

        // (call, arguments, result, who may interrupt it, whether it may end early)
        let (call, arguments, expected, interrupted) = match self.kind {
            "nanosleep" => (libc::SYS_nanosleep, [span, 0, 0, 0, 0, 0], 0, ByAnyHandler),
            "clock_nanosleep" => (
                libc::SYS_clock_nanosleep,
                [monotonic, 0, span, 0, 0, 0],
                0,
                ByAnyHandler,
            ),
            "clock_nanosleep_abs" => {
                let absolute = libc::TIMER_ABSTIME as u64;
                (
                    libc::SYS_clock_nanosleep,
                    [monotonic, absolute, until, 0, 0, 0],
                    0,
                    ByAnyHandler,
                )
            }
            "poll" => {
                let set = (&raw mut poll) as u64;
                (libc::SYS_poll, [set, 1, millis, 0, 0, 0], 0, ByAnyHandler)
            }
            "ppoll" => {
                let set = (&raw mut poll) as u64;
                (libc::SYS_ppoll, [set, 1, span, 0, 8, 0], 0, ByAnyHandler)
            }
            "select" => {
                room[0] = 1 << self.descriptor;
                let time = nap_micros.as_mut_ptr() as u64;
                (
                    libc::SYS_select,
                    [fd + 1, buffer, 0, 0, time, 0],
                    0,
                    ByAnyHandler,
                )
            }
            "pselect" => {
                room[0] = 1 << self.descriptor;
                (
                    libc::SYS_pselect6,
                    [fd + 1, buffer, 0, 0, span, 0],
                    0,
                    ByAnyHandler,
                )
            }
            "epoll_wait" => (
                libc::SYS_epoll_wait,
                [fd, buffer, 4, millis, 0, 0],
                0,
                ByAnyHandler,
            ),
            "epoll_wait_event" => {
                self.arm(self.other)?;
                let forever = u64::from(u32::MAX);
                (
                    libc::SYS_epoll_wait,
                    [fd, buffer, 4, forever, 0, 0],
                    1,
                    ByAnyHandler,
                )
            }
            "epoll_pwait" => (
                libc::SYS_epoll_pwait,
                [fd, buffer, 4, millis, 0, 8],
                0,
                ByAnyHandler,
            ),
            "epoll_pwait2" => (
                libc::SYS_epoll_pwait2,
                [fd, buffer, 4, span, 0, 8],
                0,
                ByAnyHandler,
            ),
            "futex" => {
                let address = (&raw mut word) as u64;
                let wait = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u64;
                // The kernel begins a futex with a timeout again by restart_syscall.
                (
                    libc::SYS_futex,
                    [address, wait, 7, span, 0, 0],
                    ETIMEDOUT,
                    ByAnyHandler,
                )
            }
            "read" => {
                self.arm(self.descriptor)?;
                (libc::SYS_read, [fd, buffer, 8, 0, 0, 0], 8, ByPlainHandlers)
            }
            // With SO_RCVTIMEO a handler always interrupts.
            "accept" => (libc::SYS_accept, [fd, 0, 0, 0, 0, 0], EAGAIN, ByAnyHandler),
            "recv_timeout" => (
                libc::SYS_recvfrom,
                [fd, buffer, 8, 0, 0, 0],
                EAGAIN,
                ByAnyHandler,
            ),
            "wait4" => {
                let child = child_that_naps()?;
                (
                    libc::SYS_wait4,
                    [child, buffer, 0, 0, 0, 0],
                    child as i64,
                    ByPlainHandlers,
                )
            }
            "waitid" => {
                let child = child_that_naps()?;
                let flags = libc::WEXITED as u64;
                (
                    libc::SYS_waitid,
                    [libc::P_PID.into(), child, buffer, flags, 0, 0],
                    0,
                    ByPlainHandlers,
                )
            }
            "sigtimedwait" => {
                room[0] = 1 << (libc::SIGUSR1 - 1);
                (
                    libc::SYS_rt_sigtimedwait,
                    [buffer, 0, span, 8, 0, 0],
                    EAGAIN,
                    ByAnyHandler,
                )
            }
            "semtimedop" => {
                let operations = (&raw mut operation) as u64;
                (
                    libc::SYS_semtimedop,
                    [fd, operations, 1, span, 0, 0],
                    EAGAIN,
                    ByAnyHandler,
                )
            }
            "msgrcv" => {
                let mut child_sends = child_that_sends(self.descriptor)?;
                let result = self.enter(
                    libc::SYS_msgrcv,
                    [fd, buffer, 8, 0, 0, 0],
                    8,
                    ByAnyHandler,
                    handlers,
                    began,
                );
                if result == Ok(EINTR) {
                    // The message comes all the same; it must not stay for the next round.
                    // SAFETY: the buffer has room for it.
                    while unsafe {
                        libc::msgrcv(self.descriptor, room.as_mut_ptr().cast(), 8, 0, 0)
                    } == -1
                        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
                    {
                    }
                }
                reap(&mut child_sends);
                return result.map(drop);
            }
            "io_uring" => {
                let ring = self.ring.as_mut().ok_or("no ring")?;
                ring.push_timeout(&raw const nap);
                let fd = ring.fd as u64;
                // Submitted on its own, so that the wait can be interrupted.
                checked::syscall(libc::SYS_io_uring_enter, [fd, 1, 0, 0, 0, 0], self.salt)?;
                let get_events = 1;
                let result = self.enter(
                    libc::SYS_io_uring_enter,
                    [fd, 0, 1, get_events, 0, 0],
                    0,
                    ByAnyHandler,
                    handlers,
                    began,
                );
                let ring = self.ring.as_mut().ok_or("no ring")?;
                while ring.drain() == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                return result.map(drop);
            }
            "epoll_long" => {
                let span = 400;
                let result =
                    checked::syscall(libc::SYS_epoll_wait, [fd, buffer, 4, span, 0, 0], self.salt)?;
                // Begun anew in its second half it would take 600 ms at least.
                let slept = began.elapsed();
                if result != 0 || slept > Duration::from_millis(580) {
                    return Err(format!(
                        "gave {result} after {slept:?} instead of {span} ms"
                    ));
                }
                return Ok(());
            }
            "pause" | "sigsuspend" => return self.until_signalled(buffer),
            other => return Err(format!("no such kind: {other}")),
        };
        let result = self.enter(call, arguments, expected, interrupted, handlers, began)?;
        match self.kind {
            "read" if result != EINTR && room[0] != 1 => Err(format!("read {}", room[0])),
            "epoll_wait_event" => {
                // Whoever was interrupted waits again, as a program does.
                let mut expirations = 0u64;
                // SAFETY: eight bytes are there.
                unsafe { libc::read(self.other, (&raw mut expirations).cast(), 8) };
                Ok(())
            }
            "wait4" | "waitid" => {
                if result == EINTR {
                    let child = arguments[usize::from(self.kind == "waitid")] as i32;
                    // SAFETY: a null status is allowed.
                    while unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) } == -1
                        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
                    {
                    }
                } else if self.kind == "wait4" && room[0] & 0xffff != 42 << 8 {
                    return Err(format!("status {:x}", room[0]));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes the call and judges result and time.
    fn enter(
        &self,
        call: i64,
        arguments: [u64; 6],
        expected: i64,
        interrupted: Interrupted,
        handlers: crate::Handled,
        began: Instant,
    ) -> Result<i64, String> {
        let result = checked::syscall(call, arguments, self.salt)?;
        let slept = began.elapsed();
        let ran = handled();
        let may_be_interrupted = match interrupted {
            Interrupted::ByAnyHandler => ran.any() != handlers.any(),
            Interrupted::ByPlainHandlers => ran.plain != handlers.plain,
        };
        if result == EINTR && may_be_interrupted {
            return Ok(result);
        }
        let never_restarted = matches!(
            self.kind,
            "accept"
                | "recv_timeout"
                | "epoll_wait"
                | "epoll_wait_event"
                | "epoll_pwait"
                | "epoll_pwait2"
                | "sigtimedwait"
                | "semtimedop"
                | "io_uring"
        );
        if result == EINTR && never_restarted && crate::forgives() {
            return Ok(result);
        }
        if result != expected {
            return Err(format!(
                "gave {result} instead of {expected} after {slept:?}; handlers {handlers:?} {ran:?}"
            ));
        }
        // Timers and deadlines of the kernel may be a tick off in the other direction. That of a
        // socket is counted in ticks of 4 ms (CONFIG_HZ=250), which an emulated machine may get
        // late; and no interruption can make it shorter.
        let early = match self.kind {
            "recv_timeout" => Duration::from_millis(5),
            _ => Duration::from_millis(1),
        };
        if slept + early < NAP || slept > NAP + LATE {
            return Err(format!("slept {slept:?} instead of {NAP:?}"));
        }
        Ok(result)
    }

    /// Calls that only a signal ends; a timer sends one.
    fn until_signalled(&mut self, buffer: u64) -> Result<(), String> {
        let handlers = handled();
        let began = Instant::now();
        crate::alarm_after(NAP, self.kind == "sigsuspend");
        let result = if self.kind == "pause" {
            // The alarm is repeated: one that comes before the call would be lost.
            checked::syscall(libc::SYS_pause, [0; 6], self.salt)?
        } else {
            // SAFETY: eight bytes are there; all signals but those of the test stay blocked.
            unsafe { (buffer as *mut u64).write(crate::usual_mask()) };
            checked::syscall(libc::SYS_rt_sigsuspend, [buffer, 8, 0, 0, 0, 0], self.salt)?
        };
        crate::alarm_off();
        let slept = began.elapsed();
        if result != EINTR || handled().any() == handlers.any() {
            return Err(format!("gave {result}, {handlers:?} {:?}", handled()));
        }
        if slept > NAP + LATE {
            return Err(format!("slept {slept:?}: the signal was lost"));
        }
        Ok(())
    }

    fn arm(&self, timer: i32) -> Result<(), String> {
        let time = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: 0,
                tv_nsec: NAP.as_nanos() as i64,
            },
        };
        // SAFETY: valid arguments.
        let set = unsafe { libc::timerfd_settime(timer, 0, &raw const time, std::ptr::null_mut()) };
        if set < 0 {
            Err("timerfd_settime".to_owned())
        } else {
            Ok(())
        }
    }
}

fn after_a_nap() -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let nanos = time.tv_nsec + NAP.as_nanos() as i64;
    libc::timespec {
        tv_sec: time.tv_sec + nanos / 1_000_000_000,
        tv_nsec: nanos % 1_000_000_000,
    }
}

fn child_that_naps() -> Result<u64, String> {
    crate::fork(|| {
        std::thread::sleep(NAP + Duration::from_millis(1));
        42
    })
    .map(|pid| pid as u64)
}

fn child_that_sends(queue: i32) -> Result<i32, String> {
    crate::fork(move || {
        std::thread::sleep(NAP + Duration::from_millis(1));
        let message = [1u64, 2];
        // SAFETY: a message of type 1 with eight bytes.
        unsafe { libc::msgsnd(queue, message.as_ptr().cast(), 8, 0) };
        0
    })
}

fn reap(child: &mut i32) {
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(*child, std::ptr::null_mut(), 0) } == -1
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}
