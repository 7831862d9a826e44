//! What a program's own text tells of its handlers, where the masks of the kernel do not tell: of a
//! short script of PHP whether it has one, of any whether that lets it end.

use super::body;
use super::facts::Process;
use crate::signal;
use crate::text::arguments;

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

/// The script of Python, Ruby or Perl, as the command line names it.
pub(super) fn script(process: &Process) -> Option<&str> {
    let shown = arguments::program_and_script(&process.command_line);
    let script = shown.get(1)?;
    process
        .command_line
        .iter()
        .map(String::as_str)
        .find(|word| word == script)
}

/// Whether a handler for the signal, made in a program's own text, lets it end; `None` where none is
/// seen.
pub(super) fn own_handler_ends(process: &Process, number: u8) -> Option<bool> {
    let name = signal::name(number);
    let given = process.option(&["-c", "-e", "-E"]);
    let files = process.texts.iter().map(|text| text.content.as_str());
    let seen = given.into_iter().chain(files);
    seen.filter_map(|text| body::lets_end(text, &name)).max()
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
