//! npm and the like run a line of `package.json`, most by a shell, and pass SIGTERM and SIGINT on to
//! that shell. Measured, see `docs/exit-signals.md`.

use super::facts::{Process, base_name};
use super::fate::Fate;
use super::stop::{Reach, Stop};
use super::{cure, judge};
use crate::Confidence;
use crate::cause::Language;
use crate::signal::SIGTERM;

/// One that waits for what it has told, by its name: npm, `bun run`, `deno task`.
pub(super) fn runner(process: &Process) -> Option<&'static str> {
    let words = words(process);
    let second = words.get(1).copied();
    match name(process)? {
        name @ ("npm" | "npx") => Some(name),
        // What they run themselves is no child.
        "bun" if matches!(second, Some("run" | "start" | "x")) => Some("bun"),
        "deno" if second == Some("task") => Some("deno"),
        _ => None,
    }
    .filter(|_| !process.children.is_empty() || process.program.language == Language::Node)
}

/// One that does not wait, or of which it is not known.
pub(super) fn of(process: &Process, stop: Stop) -> Option<Fate> {
    match name(process)? {
        "yarn" if stop.number == SIGTERM => Some(yarn(process, stop)),
        "pnpm" => Some(
            Fate::unknown("pnpm passes the signal on, in a way that differs by its version")
                .cures([cure::without_runner(process, "pnpm")]),
        ),
        _ => None,
    }
}

/// What it has started bears on what it does.
pub(super) fn has_children(process: &Process) -> bool {
    name(process).is_some()
}

/// Yarn 1 tells the shell that it has started, and exits without waiting for it.
fn yarn(process: &Process, stop: Stop) -> Fate {
    let told = stop.passed_on(stop.number, Reach::Alone, false);
    let children = process.children.iter();
    let unheard: Vec<_> = children
        .filter_map(|child| Some(judge::of(child, told?).unheard))
        .flatten()
        .collect();
    let cures = (!unheard.is_empty()).then(|| cure::without_runner(process, "yarn"));
    let mut fate = Fate::ends(
        Confidence::Medium,
        "yarn ends at once and waits for nothing",
    )
    .fact(
        "yarn tells the shell that it has started and exits at once; what that shell runs never \
         hears of it.",
    )
    .cures(cures);
    fate.unheard = unheard;
    fate
}

/// Which of them it is.
fn name(process: &Process) -> Option<&'static str> {
    const NAMES: [&str; 6] = ["npm", "npx", "yarn", "pnpm", "bun", "deno"];
    let words = words(process);
    let first = base_name(words.first()?);
    let of_node = matches!(first, "node" | "nodejs");
    let called = if of_node {
        base_name(words.get(1)?)
    } else {
        first
    };
    let called = called.trim_end_matches(".js").trim_end_matches(".cjs");
    let called = called.trim_end_matches("-cli");
    let known = NAMES.into_iter().find(|name| *name == called)?;
    // A program of another kind may be called so.
    let fits = match known {
        "npm" | "npx" | "yarn" => process.program.language == Language::Node,
        "pnpm" => true,
        _ => !of_node,
    };
    fits.then_some(known)
}

/// Its words; npm writes a title over its arguments, which is one word of several.
fn words(process: &Process) -> Vec<&str> {
    match process.command_line.as_slice() {
        [title] => title.split(' ').collect(),
        words => words.iter().map(String::as_str).collect(),
    }
}
