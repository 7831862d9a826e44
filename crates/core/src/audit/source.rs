//! What a program's own text tells of its handlers, where it is a short script: of node and PHP
//! the masks of the kernel do not tell.

use super::facts::Process;
use crate::cause::Language;
use crate::signal;

/// Whether it has a handler of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handler {
    /// The text makes one.
    Made,
    /// The text is all there is, and makes none.
    None,
    /// It may be in another file.
    Unclear,
}

/// What the text of `process` tells of a handler for a signal.
pub(super) fn handler(process: &Process, number: u8) -> Handler {
    let name = signal::name(number);
    let given = given(process);
    let files = process.texts.iter().map(|text| text.content.as_str());
    let texts: Vec<&str> = given.into_iter().chain(files).collect();
    let (makes, takes_in): (&[&str], &[&str]) = match process.program.language {
        Language::Php => (
            &["pcntl_signal", "sapi_windows_set_ctrl_handler"],
            &["include", "require", "autoload", "eval", "pcntl_", "phar"],
        ),
        Language::Node => (&[".on(", ".once(", "addListener("], &["eval(", "process["]),
        _ => return Handler::Unclear,
    };
    let has = |words: &[&str]| {
        let mut pairs = texts
            .iter()
            .flat_map(|text| words.iter().map(move |word| (text, word)));
        pairs.any(|(text, word)| text.contains(word))
    };
    let others = has(takes_in)
        || (process.program.language == Language::Node && texts.iter().any(|text| loads(text)))
        || (process.program.language == Language::Node
            && process.command_line.iter().any(|arg| is_preload(arg)));
    match (texts.is_empty(), has(&[&name]) && has(makes)) {
        (true, _) => Handler::Unclear,
        (_, true) => Handler::Made,
        // Whatever else has the signal's name in it is not understood.
        _ if has(&[&name]) || others => Handler::Unclear,
        _ => Handler::None,
    }
}

/// The program on the command line itself: `php -r CODE`, `node -e CODE`.
fn given(process: &Process) -> Option<&str> {
    process.option(match process.program.language {
        Language::Php => &["-r", "--run"],
        _ => &["-e", "--eval", "-p", "--print", "-pe"],
    })
}

/// Options that load another file first.
fn is_preload(argument: &str) -> bool {
    ["--require", "--import", "--loader", "-r"]
        .iter()
        .any(|option| argument.starts_with(option))
}

/// It takes in modules that are not node's own.
fn loads(text: &str) -> bool {
    const OWN: [&str; 14] = [
        "http", "https", "net", "fs", "os", "path", "util", "url", "events", "stream", "crypto",
        "timers", "zlib", "assert",
    ];
    let named = text.split(['\'', '"', '`']).collect::<Vec<_>>();
    named.windows(2).any(|pair| {
        let before = pair[0].trim_end();
        let is_load = before.ends_with("require(")
            || before.ends_with("import(")
            || before.ends_with("from")
            || before.ends_with("import");
        let name = pair[1].strip_prefix("node:").unwrap_or(pair[1]);
        is_load && !OWN.contains(&name.split('/').next().unwrap_or(name))
    })
}
