//! Text of others: what it says, and how it is shown.

/// Reads a decimal number, the whole text.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    long_number(text).and_then(|value| value.try_into().ok())
}

/// As `number`, for what does not fit into 32 bits.
pub(crate) fn long_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Reads a hexadecimal number, as /proc writes sets of signals.
pub(crate) fn hexadecimal(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

/// Whether a character may move the cursor, change colours, reorder what is shown or hide
/// itself: controls (C0, DEL, C1) and the format characters. A process chooses its own name.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}
