//! `/proc/PID/cmdline` (`proc_pid_cmdline(5)`).

/// The arguments. A program that rewrote its title (`setproctitle(3)`) may give one long one;
/// kernel threads and zombies give none.
#[must_use]
pub fn arguments(bytes: &[u8]) -> Vec<Vec<u8>> {
    // Rewritten titles leave runs of NUL behind.
    let Some(end) = bytes.iter().rposition(|byte| *byte != 0) else {
        return Vec::new();
    };
    bytes[..=end]
        .split(|byte| *byte == 0)
        .map(<[u8]>::to_vec)
        .collect()
}
