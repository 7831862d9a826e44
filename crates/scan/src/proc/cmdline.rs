//! `/proc/PID/cmdline` (`proc_pid_cmdline(5)`).

use super::bounds::{ARGUMENTS, COMMAND_LINE};

/// What stands as the last argument where others were left out.
const CUT: &str = "…";

/// The arguments. A program that rewrote its title (`setproctitle(3)`) may give one long one;
/// kernel threads and zombies give none.
///
/// Of more than 4 KiB, or more than 256 arguments, the beginning is given, and `…` as the last.
#[must_use]
pub fn arguments(bytes: &[u8]) -> Vec<Vec<u8>> {
    let kept = bytes.get(..COMMAND_LINE).unwrap_or(bytes);
    // Rewritten titles leave runs of NUL behind.
    let length = kept.iter().rposition(|byte| *byte != 0);
    let text = length.and_then(|last| kept.get(..=last));
    let mut parts = text
        .into_iter()
        .flat_map(|text| text.split(|byte| *byte == 0).map(<[u8]>::to_vec));
    let mut arguments: Vec<Vec<u8>> = parts.by_ref().take(ARGUMENTS).collect();
    if bytes.len() > kept.len() || parts.next().is_some() {
        arguments.push(CUT.into());
    }
    arguments
}
