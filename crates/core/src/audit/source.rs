//! What a program's own text tells of its handlers, where the masks of the kernel do not tell: PHP's
//! here, where it is a short script.

use super::facts::Process;
use crate::signal;

/// Whether it has a handler of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handler {
    /// The text makes one.
    Made,
    /// The text is all there is, and makes none.
    None,
    /// The same, and it has no loop: a sleep that is cut short lets it come to its end.
    NoneNorLoop,
    /// It may be in another file.
    Unclear,
}

/// What the text of a PHP process tells of a handler for a signal.
pub(super) fn handler(process: &Process, number: u8) -> Handler {
    let name = signal::name(number);
    let given = process.option(&["-r", "--run"]);
    let files = process.texts.iter().map(|text| text.content.as_str());
    let texts: Vec<&str> = given.into_iter().chain(files).collect();
    let has = |words: &[&str]| {
        let has_one = |text: &&str| words.iter().any(|word| text.contains(word));
        texts.iter().any(has_one)
    };
    let takes_in = ["include", "require", "autoload", "eval", "phar", "<<<"];
    if has(&["pcntl_signal"]) && has(&[&name]) {
        Handler::Made
    } else if texts.is_empty() || has(&takes_in) || has(&["pcntl_", &name]) {
        Handler::Unclear
    } else if has(&["while", "for", "do", "goto", "function"]) {
        Handler::None
    } else {
        Handler::NoneNorLoop
    }
}
