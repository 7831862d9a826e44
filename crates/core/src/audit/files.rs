//! Which files tell what a program does on a signal.

use super::facts::{Process, Text};
use super::{command, judge, known, node, servers, source};
use crate::cause::Language;
use crate::signal;

/// As the process names them; those that are not there do no harm.
pub(super) fn of(process: &Process, number: u8) -> Vec<String> {
    if judge::is_a_shell(process) {
        return command::script_of(process)
            .map(str::to_owned)
            .into_iter()
            .collect();
    }
    let configured = known::configuration(process, &signal::name(number));
    if let Some(files) = configured.or_else(|| servers::configuration(process)) {
        return files;
    }
    match process.program.language {
        Language::Php => script(process).into_iter().collect(),
        Language::Python | Language::Ruby | Language::Perl => source::script(process)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        // Elsewhere node's own handler ends it.
        Language::Node if process.is_namespace_init() && node::is_node(process) => {
            node::script(process)
                .map(str::to_owned)
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Those that one of them takes in.
pub(super) fn taken_in(process: &Process, text: &Text) -> Vec<String> {
    match process.program.language {
        Language::Node if process.is_namespace_init() && node::is_node(process) => {
            node::taken_in(text)
        }
        _ => Vec::new(),
    }
}

/// The first argument that is no option.
fn script(process: &Process) -> Option<String> {
    let words = process.command_line.get(1..)?;
    let first = words.iter().find(|word| !word.starts_with('-'))?;
    // An option before it may take it for its value: `-r CODE`, `--eval CODE`.
    let alone = words
        .iter()
        .take_while(|word| *word != first)
        .all(|word| word.starts_with("--"));
    alone.then(|| first.clone())
}
