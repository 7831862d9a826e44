//! Why nothing is done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why no zombie of a holder is taken. Each has its own message, and its own override or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "reason"
)]
pub enum Refusal {
    /// Rule 1 of `docs/design.md`.
    #[error("it is never touched: {what}")]
    Protected {
        /// What it is.
        what: String,
    },
    /// Outside any container.
    #[error("it is a process of the host, outside any container")]
    HostProcess,
    /// It ended, or its pid belongs to another process by now.
    #[error("it has ended")]
    Gone,
    /// It is itself a zombie: its children go to another parent at once.
    #[error("it has itself ended and waits for its parent to notice")]
    HolderIsZombie,
    /// `pthread_exit` of the main thread: `/proc/PID/maps` and `mem` are empty from then on.
    #[error("its first thread has ended while other threads live: its memory cannot be reached")]
    FirstThreadEnded,
    /// SIGSTOP or the like.
    #[error(
        "it is stopped and may wait for its children by itself once it goes on; \
         continue it with `kill -CONT`"
    )]
    Stopped,
    /// The cgroup freezer, for instance `docker pause`.
    #[error("its container is frozen (paused) and may wait for its children once it is thawed")]
    Frozen,
    /// State D.
    #[error("it is in an uninterruptible sleep (state D) and can do nothing until that ends")]
    Uninterruptible,
    /// A debugger, strace, gdb.
    #[error("process {tracer} traces it (a debugger or strace); only one tracer is possible")]
    TracedByAnother {
        /// Pid of the tracer.
        tracer: u32,
    },
    /// All its zombies are held by its being their tracer.
    #[error(
        "it holds these zombies as their tracer, not as their parent; they go back to their \
         parent when it lets go of them or ends"
    )]
    HeldAsTracer,
    /// `EPERM`; or `EACCES` of `/proc/PID/mem`, whose mode counts beside the right to trace.
    #[error(
        "permission denied: this needs the same user as the process, or CAP_SYS_PTRACE and \
         CAP_DAC_OVERRIDE"
    )]
    NotPermitted,
    /// `/proc/sys/kernel/yama/ptrace_scope`.
    #[error("Yama forbids it: /proc/sys/kernel/yama/ptrace_scope is {scope} ({})", yama(*.scope))]
    Yama {
        /// The value.
        scope: u32,
    },
    /// Not written yet.
    #[error("making a process wait is not supported on this architecture yet (only x86-64)")]
    Architecture,
    /// The kernel runs with `vdso=0`, or the program unmapped it.
    #[error("it has no [vdso] mapping, where the code would go")]
    NoVdso,
    /// `mprotect(2)`.
    #[error(
        "its [vdso], where the code would go, may not be read and executed (its rights are \
         {rights}): the program would be killed by SIGSEGV"
    )]
    VdsoRights {
        /// As in `/proc/PID/maps`.
        rights: String,
    },
    /// `vm.max_map_count` has been raised, or paths are very long.
    #[error("its list of mappings is too long: its [vdso] is not in the first {mebibytes} MiB")]
    TooManyMappings {
        /// How much was read.
        mebibytes: u64,
    },
    /// i386 or x32.
    #[error("it is a 32-bit program")]
    Not64Bit,
    /// The kernel's vdso fills its last page.
    #[error("the unused end of its [vdso] has only {bytes} bytes, too few for the code")]
    NoRoom {
        /// What is free.
        bytes: usize,
    },
    /// Somebody else's data is there.
    #[error("the unused end of its [vdso] is not empty: another tool has written there")]
    TailTaken,
    /// A reaper was killed, and the thread that it had borrowed has not been seen out since.
    #[error(
        "thread {thread} may still run the code of an earlier reap that was killed; try again \
         in a moment"
    )]
    TailInUse {
        /// Its id inside the container.
        thread: u32,
    },
    /// Its own seccomp filter could forbid the call, and even kill it for that.
    #[error(
        "it has {filters} seccomp filters where its container's first process has {expected}: \
         a filter of its own may kill it for a call that is not its own"
    )]
    Seccomp {
        /// Filters of the process.
        filters: u32,
        /// Filters that the container brings.
        expected: u32,
    },
    /// Neither can they be asked, nor is it known how many the runtime put there.
    #[error(
        "it has {} and it is not known whether one of them is its own: it may kill the program \
         for a call that is not its own. With CAP_SYS_ADMIN, and under no filter itself, Sexton \
         can ask them",
        sexton_core::text::plural(u64::from(*.filters), "seccomp filter,", "seccomp filters,")
    )]
    SeccompUnknown {
        /// Filters of the process.
        filters: u32,
    },
    /// The filters were asked while the thread stood still.
    #[error("its seccomp filters do not allow it to call {call}: they answer with {action}")]
    SeccompForbids {
        /// The system call that it would have made.
        call: String,
        /// What the call would bring.
        action: String,
    },
    /// They were asked, and did not come to an end.
    #[error("its seccomp filters are too long to find out whether they allow the call")]
    SeccompTooLong,
    /// Wine, sandboxes.
    #[error(
        "it lets the kernel stop its own system calls (prctl PR_SET_SYSCALL_USER_DISPATCH): a \
         call that is not its own would bring it the signal SIGSYS"
    )]
    SyscallUserDispatch,
    /// `SECCOMP_SET_MODE_STRICT`.
    #[error("it is in strict seccomp mode and would be killed for any other call")]
    SeccompStrict,
    /// The numbers of this `/proc` mean nothing to `ptrace`.
    #[error(
        "the /proc that was read belongs to another PID namespace than Sexton's own: run \
         Sexton in the PID namespace of the node (hostPID)"
    )]
    ForeignProc,
    /// Autoreap: a program's handler is never replaced.
    #[error("it has a handler for SIGCHLD, and what a program set up is never replaced")]
    HandlesSigchld,
    /// Autoreap: `signalfd(2)`, `sigwait(3)`.
    #[error("it blocks SIGCHLD, as programs do that take it in another way (signalfd, sigwait)")]
    BlocksSigchld,
    /// Autoreap: the kernel waits for its children already.
    #[error("it ignores SIGCHLD, so new children of it leave no zombies as it is")]
    IgnoresSigchld,
    /// Autoreap: a wait of its own would fail with `ECHILD`.
    #[error(
        "it has waited for children before, and the kernel would leave it none to wait for: its \
         next wait would fail"
    )]
    Waits,
    /// Terminate: it is PID 1 of its PID namespace.
    #[error("it is PID 1 of its PID namespace: all the others there would end with it")]
    NamespaceInit,
    /// Terminate: the container would end with it.
    #[error(
        "it is its container's main process, or stands for it: its parent is {name} (pid \
         {parent}), and the container may end with it"
    )]
    MainProcess {
        /// Its parent, or the one above that made it so.
        parent: u32,
        /// The parent's name.
        name: String,
    },
    /// Terminate: it is no holder.
    #[error("it holds no zombies, so nothing would be won by its end")]
    NoZombies,
    /// Terminate: nobody knows where its zombies would go.
    #[error("it cannot be told to whom its zombies would go when it ends")]
    NoAdopter,
    /// Terminate: the zombies would only move.
    #[error(
        "its zombies would go to {name} (pid {adopter}), which is not known to wait for orphans"
    )]
    AdopterMayNotReap {
        /// Who would get them.
        adopter: u32,
        /// Its name.
        name: String,
    },
    /// Terminate: the zombies would only move.
    #[error(
        "its zombies would go to {name} (pid {adopter}), which leaves {zombies} of its own \
         standing"
    )]
    AdopterHoldsZombies {
        /// Who would get them.
        adopter: u32,
        /// Its name.
        name: String,
        /// How many it holds.
        zombies: u64,
    },
    /// Terminate: the zombies would only move.
    #[error("its zombies would go to {name} (pid {adopter}), which is stopped or frozen")]
    AdopterHeldUp {
        /// Who would get them.
        adopter: u32,
        /// Its name.
        name: String,
    },
    /// Terminate: `EPERM`.
    #[error("permission denied: this needs the same user as the process, or CAP_KILL")]
    MayNotSignal,
}

impl Refusal {
    /// The option by which an engineer who knows better may go on; `None` where there is none.
    #[must_use]
    pub fn overridden_by(&self) -> Option<&'static str> {
        match self {
            Self::HostProcess => Some("--allow-host"),
            Self::Seccomp { .. } | Self::SeccompUnknown { .. } => Some("--ignore-seccomp"),
            Self::Waits => Some("--though-it-waits"),
            _ => None,
        }
    }
}

fn yama(scope: u32) -> &'static str {
    match scope {
        1 => "only descendants may be traced, unless with CAP_SYS_PTRACE",
        2 => "only with CAP_SYS_PTRACE",
        _ => "no process may trace another, and only a reboot changes that",
    }
}

/// Why some zombies of a holder stay.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    thiserror::Error,
)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "reason"
)]
pub enum LeftBecause {
    /// Younger than the settle time.
    #[error("ended less than {seconds} s ago, so the program may yet wait")]
    Young {
        /// The settle time.
        seconds: u64,
    },
    /// Started less than the settle time ago, or its time of death cannot be told.
    #[error("it is not known that they ended {seconds} s ago or more (--settle 0 takes them)")]
    AgeUnknown {
        /// The settle time.
        seconds: u64,
    },
    /// The leader of a process whose other threads live.
    #[error("only its first thread has ended; other threads of it live")]
    LiveThreads,
    /// Its tracer has to wait first.
    #[error("process {tracer} traces it and has to wait for it first")]
    Traced {
        /// Pid of the tracer.
        tracer: u32,
    },
    /// No pid in the holder's namespace; the kernel makes none such.
    #[error("it has no pid in the PID namespace of its parent")]
    OtherNamespace,
    /// The holder called wait4 and the zombie is still there.
    #[error("its parent was made to wait for it and did not get it")]
    NotTaken,
    /// The reap ended before it came to this one.
    #[error("not reached: {end}")]
    NotReached {
        /// How the reap ended.
        end: String,
    },
}
