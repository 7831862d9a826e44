//! `/proc/PID/limits` (`proc_pid_limits(5)`).

/// A resource limit of `getrlimit(2)`; `None` means unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// What binds.
    pub soft: Option<u64>,
    /// How far the process may raise it.
    pub hard: Option<u64>,
}

/// The limit whose line begins with `name`, for instance `Max processes`; `None` where there
/// is no such line or it has another form.
#[must_use]
pub fn resource_limit(bytes: &[u8], name: &str) -> Option<ResourceLimit> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes()))?;
    let mut fields = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut limit = || match fields.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some(ResourceLimit {
        soft: limit()?,
        hard: limit()?,
    })
}
