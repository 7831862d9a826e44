//! `/proc/PID/cmdline` (`proc_pid_cmdline(5)`).

use super::bounds::{ARGUMENTS, COMMAND_LINE, COMMAND_LINE_LEAST, COMMAND_LINES};

/// What stands as the last argument where others were left out.
const CUT: &str = "…";

/// Bytes of a command line that each of so many holders may keep in one report; `None` where
/// they are few, and each keeps all that was read.
///
/// Who may fork thousands of times would else fill a report with as many times 4 KiB.
pub(crate) fn share(holders: usize) -> Option<usize> {
    let share = COMMAND_LINES.checked_div(holders)?;
    (share < COMMAND_LINE).then_some(share.max(COMMAND_LINE_LEAST))
}

/// Keeps about so many bytes of a command line, what the list itself takes included, and `…` as
/// the last argument where others were left out. An argument that is cut ends with it.
pub(crate) fn shorten(arguments: &mut Vec<String>, room: usize) {
    let mut left = room;
    let mut fits = |argument: &String| {
        let takes = argument.len().saturating_add(size_of::<String>());
        left.checked_sub(takes).map(|rest| left = rest).is_some()
    };
    let whole = arguments
        .iter()
        .take_while(|&argument| fits(argument))
        .count();
    if whole == arguments.len() {
        return;
    }
    arguments.truncate(whole.saturating_add(1));
    if let Some(last) = arguments.last_mut() {
        let left = left.saturating_sub(size_of::<String>());
        last.truncate(last.floor_char_boundary(left));
        last.push_str(CUT);
        last.shrink_to_fit();
    }
    arguments.shrink_to_fit();
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_keep_all_and_many_share() {
        assert_eq!(share(0), None);
        assert_eq!(share(256), None);
        assert_eq!(share(1024), Some(1024));
        assert_eq!(share(1_000_000), Some(COMMAND_LINE_LEAST));
    }

    #[test]
    fn what_is_cut_is_marked_and_takes_no_more_than_its_share() {
        let word = |word: &str| word.to_owned();
        let mut short = vec![word("sh"), word("-c"), word("true")];
        shorten(&mut short, 256);
        assert_eq!(short, ["sh", "-c", "true"]);

        let mut long = vec![word("sh"), "é".repeat(2_000), word("secret")];
        shorten(&mut long, 257);
        assert_eq!(long.len(), 2);
        assert!(
            long[1].starts_with("éé") && long[1].ends_with('…'),
            "{long:?}"
        );
        assert!(long[1].len() < 257 && long[1].capacity() < 300);

        let mut many = vec![String::new(); 256];
        shorten(&mut many, 256);
        assert_eq!(many.last().map(String::as_str), Some("…"));
        assert!(many.len() < 12);
    }
}
