//! supervisord: it tells its programs, waits for each as long as its configuration says, and kills
//! what is left.

use super::cure;
use super::facts::Process;
use super::fate::Fate;
use super::stop::{Reach, Stop};
use super::{MainProcess, Verdict, judge, words};
use crate::Confidence;
use crate::cause::Cure;
use crate::signal::{self, SIGTERM};
use crate::text::duration;

/// What a section `[program:NAME]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    name: String,
    command: String,
    /// `stopsignal`
    signal: u8,
    /// `stopwaitsecs`
    wait: u64,
    /// `stopasgroup`
    group: bool,
}

impl Program {
    /// As it is where nothing is said.
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            command: String::new(),
            signal: SIGTERM,
            wait: 10,
            group: false,
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "command" => value.clone_into(&mut self.command),
            "stopsignal" => self.signal = signal::number(value).unwrap_or(self.signal),
            "stopwaitsecs" => self.wait = words::seconds(value).unwrap_or(self.wait),
            "stopasgroup" => self.group = value.eq_ignore_ascii_case("true"),
            _ => {}
        }
    }
}

/// The programs of a configuration.
fn programs(text: &str) -> Vec<Program> {
    let mut found: Vec<Program> = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            let name = section
                .strip_prefix("program:")
                .or_else(|| section.strip_prefix("fcgi-program:"));
            inside = name.is_some();
            found.extend(name.map(Program::new));
        } else if inside
            && !line.starts_with([';', '#'])
            && let Some((key, value)) = line.split_once('=')
            && let Some(program) = found.last_mut()
        {
            // A comment begins with a semicolon behind a space.
            let value = value.split(" ;").next().unwrap_or(value);
            program.set(key.trim(), value.trim());
        }
    }
    found
}

/// The one that a child was started as: of several that fit the most patient. A command that has
/// become another program by `exec` fits none, and is what is left over.
fn program_of<'a>(
    child: &Process,
    process: &Process,
    programs: &'a [Program],
) -> Option<&'a Program> {
    let fits = |program: &&Program, child: &Process| words::starts(&program.command, child);
    let fitting = programs.iter().filter(|program| fits(program, child));
    fitting.max_by_key(|program| program.wait).or_else(|| {
        let mut left = programs
            .iter()
            .filter(|program| !process.children.iter().any(|child| fits(program, child)));
        let only = left.next()?;
        left.next().is_none().then_some(only)
    })
}

/// What becomes of one program.
struct Told<'a> {
    child: &'a Process,
    /// Seconds that are given to it; `None` where its section was not seen.
    wait: Option<u64>,
    fate: Fate,
}

/// What it does when it is to end.
pub(super) fn stops(process: &Process, stop: Stop) -> Fate {
    let (text, path) = match process.texts.first() {
        Some(text) => (text.content.as_str(), text.path.as_str()),
        None => ("", ""),
    };
    let programs = programs(text);
    // Sections of other files are not seen, nor which of several is left over.
    let whole = !path.is_empty() && !text.contains("[include]") && programs.len() <= 1;
    let told: Vec<Told<'_>> = process
        .children
        .iter()
        .filter_map(|child| {
            let known = program_of(child, process, &programs);
            let usual = Program::new("");
            let program = known.unwrap_or(&usual);
            let reach = match program.group {
                true => Reach::Group(child.process_group),
                false => Reach::Alone,
            };
            let told = stop.passed_on(program.signal, reach, false)?;
            let fate = if process.may_signal(child) {
                judge::of(child, told)
            } else {
                // It gives up at once.
                Fate::ends(Confidence::Medium, "")
                    .unheard([child])
                    .cures(cure::may_not_signal(child))
            };
            Some(Told {
                child,
                wait: (known.is_some() || whole).then_some(program.wait),
                fate,
            })
        })
        .collect();
    let known = known(&told, stop, path);
    let unheard: Vec<MainProcess> = told
        .iter()
        .flat_map(|told| told.fate.unheard.iter().cloned())
        .collect();
    let patience = |wait: Option<u64>| match (wait, stop.grace) {
        (Some(wait), Some(grace)) => Some(wait < grace),
        _ => None,
    };
    let deaf = told
        .iter()
        .filter(|told| told.fate.verdict != Verdict::Ends);
    // The one that it waits for longest.
    let worst = deaf.max_by_key(|told| match patience(told.wait) {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    });
    let mut fate = match worst.map(|told| (told, patience(told.wait), told.fate.verdict)) {
        None => Fate::ends(
            Confidence::Medium,
            "supervisord stops its programs and ends",
        ),
        Some((told, Some(true), _)) => Fate::ends(
            Confidence::Medium,
            format!("supervisord ends once it has killed {}", told.child.name),
        ),
        Some((told, Some(false), Verdict::Killed)) => Fate::stays(
            Confidence::Medium,
            format!(
                "supervisord waits for {}, which does not end",
                told.child.name
            ),
        ),
        Some((told, _, _)) => Fate::unknown(format!(
            "supervisord waits for {}, which may not end",
            told.child.name
        )),
    }
    .fact(known);
    if let Some(told) = worst {
        fate = fate
            .facts(told.fate.facts.iter().cloned())
            .cures(told.fate.cures.iter().cloned());
    } else if !unheard.is_empty() {
        let cures: Vec<Cure> = told
            .iter()
            .flat_map(|told| told.fate.cures.clone())
            .collect();
        fate = fate.cures([tell_the_group()]).cures(cures);
    }
    fate.unheard = unheard;
    fate
}

/// What it sends, and how long it waits.
fn known(told: &[Told<'_>], stop: Stop, path: &str) -> String {
    let longest = told.iter().filter_map(|told| told.wait).max();
    let wait = longest.map_or_else(
        || "as long as stopwaitsecs says".to_owned(),
        |wait| format!("up to {} (stopwaitsecs)", duration(wait)),
    );
    let source = if path.is_empty() { "its default" } else { path };
    let grace = stop.grace.map_or_else(String::new, |grace| {
        format!("; the grace period is {}", duration(grace))
    });
    format!(
        "supervisord sends each of its programs its stopsignal and waits for it {wait}, {source}{grace}."
    )
}

/// What a program has started is told, too.
fn tell_the_group() -> Cure {
    cure::cure(
        "Let supervisord tell the whole process group of the program; or `exec` in its command.",
        "ini",
        "[program:NAME]\nstopasgroup=true\nkillasgroup=true\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_its_own_settings() {
        let text = "[supervisord]\nstopwaitsecs=9\n\n[program:a]\ncommand=/bin/a -x ; why\n\
                    stopwaitsecs=60 ; long\n;stopsignal=INT\n[program:b]\ncommand = b\n\
                    stopsignal=QUIT\nstopasgroup=true\n[eventlistener:c]\ncommand=c\n";
        let found = programs(text);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].command.as_str(), found[0].wait),
            ("/bin/a -x", 60)
        );
        assert_eq!((found[0].signal, found[0].group), (SIGTERM, false));
        assert_eq!(
            (found[1].signal, found[1].wait, found[1].group),
            (3, 10, true)
        );
    }
}
