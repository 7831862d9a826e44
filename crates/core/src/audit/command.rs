//! The words with which a process can be started again. A process may have written a title over
//! its arguments (redis, puma, postgres, nginx), and then they are no command any more.

use super::facts::{Process, base_name};
use crate::cause::is_shell;
use crate::text::shell_word;

/// Longer commands are not printed: nobody reads them, and a command that is cut does not work.
const MOST_WORDS: usize = 64;
const LONGEST: usize = 2048;

/// What starts it again; `None` where that is not known.
pub(super) fn of(process: &Process) -> Option<&[String]> {
    let words = match &process.started_as {
        Some(words) => words,
        None if is_title(process) => return None,
        None => &process.command_line,
    };
    // `…` stands for what was cut off.
    if words.last().is_some_and(|word| word == "…") {
        return None;
    }
    let length: usize = words.iter().map(String::len).sum();
    (!words.is_empty() && words.len() <= MOST_WORDS && length <= LONGEST).then_some(words)
}

/// Its arguments are not those that it was started with.
fn is_title(process: &Process) -> bool {
    let Some(first) = process.command_line.first() else {
        return true;
    };
    // The emulator of Erlang wants variables that only `erl` sets.
    let is_inner = process.program_name() == "beam.smp";
    let name = base_name(first).trim_start_matches('-');
    let odd = |c: char| c.is_whitespace() || c.is_control() || ":[]()".contains(c);
    let known = process.executable.is_none()
        || process.program_name().starts_with(name)
        || (is_shell(name) && is_shell(process.program_name()));
    process.rewrote_title || is_inner || first.is_empty() || (!known && first.contains(odd))
}

/// The script that a shell runs, as its command line names it.
pub(super) fn script_of(shell: &Process) -> Option<&str> {
    let words = applet_arguments(shell);
    let script = words.iter().find(|word| !word.starts_with(['-', '+']))?;
    let is_text = words
        .iter()
        .take_while(|word| *word != script)
        .any(|word| is_c(word));
    (!is_text).then_some(script.as_str())
}

/// The text that a shell runs: that of `-c`, or of its script where it could be read.
pub(super) fn text_of(shell: &Process) -> Option<&str> {
    if script_of(shell).is_some() {
        return shell.texts.first().map(|text| text.content.as_str());
    }
    let words = applet_arguments(shell);
    let at = words.iter().position(|word| is_c(word))?;
    let text = words[at + 1..]
        .iter()
        .find(|word| !word.starts_with(['-', '+']));
    text.map(String::as_str)
}

/// The shell's own name, `sh` where it is called otherwise.
pub(super) fn interpreter(shell: &Process) -> &str {
    let name = shell.command_line.first().map(String::as_str);
    name.filter(|name| is_shell(base_name(name)) && base_name(name) != "busybox")
        .unwrap_or("sh")
}

/// `-c`, `-ec`, `-lc`
fn is_c(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.ends_with('c')
}

/// Its arguments, without the applet's name of busybox.
fn applet_arguments(shell: &Process) -> &[String] {
    let words = shell.command_line.get(1..).unwrap_or_default();
    let is_busybox = shell
        .command_line
        .first()
        .is_some_and(|word| base_name(word) == "busybox");
    words.get(usize::from(is_busybox)..).unwrap_or_default()
}

/// Words as a JSON list, as the exec form wants them.
pub(super) fn json<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.map(json_string).collect();
    format!("[{}]", quoted.join(", "))
}

pub(super) fn json_string(word: &str) -> String {
    let mut out = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Words as a shell takes them.
pub(super) fn quoted(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| shell_word(word)).collect();
    words.join(" ")
}
