//! What may stand between braces in the texts of the knowledge base (`src/cause/text.rs` fills
//! it in); anything else does not build.

/// Short values, for the middle of a sentence.
pub(crate) const VALUES: &[&str] = &[
    // What the command line takes, and the whole command that reaps; the latter is not known
    // for a holder that is never touched, nor the container for a process of the host.
    "target",
    "reap",
    "container",
    "pid",
    "inner-pid",
    "holder",
    "zombies",
    "ended",
    "language",
    "tracer",
    "first",
    // How a program in the holder's language waits for its own children.
    "own-wait",
    // The thread that collects SIGCHLD for the holder: the tid to send it to.
    "collector",
    // The command that thaws the frozen cgroup.
    "thaw",
];

/// Whole sentences with the place that each was read from. A template whose sentence is not
/// known is left out.
pub(crate) const SENTENCES: &[&str] = &[
    "program",     // what the holder is written in
    "origin",      // direct or adopted
    "waited",      // cminflt
    "calls",       // where its threads sleep
    "waits-for",   // the only children that it waits for
    "starts-none", // the holder's program starts no processes
    "pipe",        // who holds the pipe that it reads
    "sigchld",     // its action, where it is blocked, whether one is pending
    "frees",       // what frees a holder in D from what it waits for
    "sleeps-in",   // the kernel's function that a holder in D sleeps in
    "vfork-child", // the child of vfork that a holder in D waits for
    "state",       // stopped, frozen, D, traced
    "first-is",    // PID 1 of the namespace
    "shared",      // other containers in the namespace
    "drivers",     // browsers' drivers
    "inits",       // inits that are not PID 1
];

/// The names of the placeholders in `text`, or what is wrong with its braces.
pub(crate) fn names(text: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let after = &rest[open + 1..];
        let close = after
            .find('}')
            .ok_or_else(|| format!("`{{` is not closed in {text:?}"))?;
        names.push(&after[..close]);
        rest = &after[close + 1..];
    }
    Ok(names)
}
