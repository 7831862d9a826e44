//! Lists of pids: `/proc/PID/task/TID/children` (`proc_pid_task(5)`), and `cgroup.procs`,
//! `cgroup.threads` and `tasks` of a cgroup (`cgroups(7)`).

/// The pids of a list, whatever separates them; what is no number is left out, and so is 0,
/// which stands for a process outside the reader's PID namespace.
pub fn parse_pids(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes
        .split(u8::is_ascii_whitespace)
        .filter_map(parse_pid)
        .filter(|pid| *pid != 0)
}

/// A decimal number that fits a pid, and nothing else.
pub(crate) fn parse_pid(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u32, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then_some(())?;
        number.checked_mul(10)?.checked_add(u32::from(digit))
    })
}
