//! The table of docs/exit-signals.md is made by these tests:
//!
//!     SEXTON_WRITE_TABLE=1 cargo test -p sexton-scan --test audit programs
//!
//! Without the variable each row is compared with what is written there; version and seconds may
//! differ, what was judged and what happened may not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use sexton_core::Confidence;
use sexton_core::audit::Mark;

use crate::situation::Happened;

const BEGIN: &str = "<!-- made by crates/scan/tests/audit: begin -->\n";
const END: &str = "<!-- made by crates/scan/tests/audit: end -->";
const HEAD: &str = "| container | version | signal | verdict | what happened | seconds |\n\
                    |---|---|---|---|---|---|\n";

/// The scores are told in another document.
const SCORES_BEGIN: &str = "<!-- exit signals, made by crates/scan/tests/audit: begin -->\n";
const SCORES_END: &str = "<!-- exit signals, made by crates/scan/tests/audit: end -->";

/// Tests write it at the same time.
static FILE: Mutex<()> = Mutex::new(());

/// Writes these rows, or compares them with those that are written.
pub(crate) fn agrees(happened: &[Happened]) {
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let document = Block::read("exit-signals.md", BEGIN, END);
    let mut rows: BTreeMap<&str, String> = document
        .rows()
        .map(|line| (name_of(line), line.to_owned()))
        .collect();
    let mut wrong = Vec::new();
    for happened in happened {
        let row = row(happened);
        if rows.get(&*happened.name).map(|row| lasting(row)) != Some(lasting(&row)) {
            wrong.push(row.clone());
        }
        rows.insert(&happened.name, row);
    }
    if writes() {
        let rows: Vec<String> = rows.into_values().collect();
        let table = format!("{HEAD}{}\n", rows.join("\n"));
        document.write(&table);
        let scores = Scores::of(table.lines().filter(|line| !HEAD.contains(line)));
        Block::read("assurance.md", SCORES_BEGIN, SCORES_END).write(&scores.told());
    } else {
        assert!(
            wrong.is_empty(),
            "not as written in {}; SEXTON_WRITE_TABLE=1 writes it anew: {wrong:#?}",
            document.path.display()
        );
    }
}

/// Each row is compared with what happens by the other tests; this is what they come to.
#[test]
fn nearly_every_verdict_is_true() {
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let document = Block::read("exit-signals.md", BEGIN, END);
    let scores = Scores::of(document.rows());
    let told = scores.told();
    assert!(scores.all >= 100, "{told}");
    assert!(scores.unknown * 10 <= scores.all, "{told}");
    assert!(scores.judged_true * 100 >= scores.judged * 99, "{told}");
    assert_eq!(scores.high_true, scores.high, "{told}");
    let written = Block::read("assurance.md", SCORES_BEGIN, SCORES_END);
    assert!(writes() || written.inner == told, "{told}");
}

fn writes() -> bool {
    std::env::var_os("SEXTON_WRITE_TABLE").is_some()
}

/// A document of which a part is made here.
struct Block {
    path: PathBuf,
    before: String,
    inner: String,
    after: String,
}

impl Block {
    fn read(name: &str, begin: &str, end: &str) -> Self {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let path = docs.join(name);
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(begin).unwrap();
        let (inner, after) = rest.split_once(end).unwrap();
        Self {
            before: format!("{before}{begin}"),
            inner: inner.to_owned(),
            after: format!("{end}{after}"),
            path,
        }
    }

    fn rows(&self) -> impl Iterator<Item = &str> {
        self.inner.lines().filter(|line| !HEAD.contains(line))
    }

    fn write(&self, inner: &str) {
        let Self { before, after, .. } = self;
        fs::write(&self.path, format!("{before}{inner}{after}")).unwrap();
    }
}

/// How many verdicts there are, and how many of them are true.
#[derive(Default)]
struct Scores {
    all: usize,
    unknown: usize,
    judged: usize,
    judged_true: usize,
    high: usize,
    high_true: usize,
}

impl Scores {
    fn of<'a>(rows: impl Iterator<Item = &'a str>) -> Self {
        let mut scores = Self::default();
        for row in rows {
            let [.., verdict, what] = lasting(row);
            scores.all += 1;
            if verdict == "unknown" {
                scores.unknown += 1;
                continue;
            }
            let is_true = verdict.starts_with("ends") == (what == "ended");
            scores.judged += 1;
            scores.judged_true += usize::from(is_true);
            if verdict.ends_with(", high") {
                scores.high += 1;
                scores.high_true += usize::from(is_true);
            }
        }
        scores
    }

    fn told(&self) -> String {
        let share = |part: usize, of: usize| format!("{:.1}%", part as f64 * 100.0 / of as f64);
        let Self {
            all,
            unknown,
            judged,
            judged_true,
            high,
            high_true,
        } = self;
        format!(
            "| verdicts | how many | true | share | aim |\n|---|---|---|---|---|\n\
             | of high confidence | {high} | {high_true} | {} | 100% |\n\
             | all but *unknown* | {judged} | {judged_true} | {} | ≥ 99% |\n\
             | *unknown*, of {all} containers | {unknown} | – | {} | ≤ 10% |\n",
            share(*high_true, *high),
            share(*judged_true, *judged),
            share(*unknown, *all),
        )
    }
}

fn row(happened: &Happened) -> String {
    let Happened {
        name,
        program,
        signal,
        judged,
        seconds,
    } = happened;
    let verdict = match judged.mark() {
        Mark::Killed => "killed".to_owned(),
        Mark::EndsUnheard => format!("ends, but {} killed", judged.unheard.len()),
        Mark::Unknown => "unknown".to_owned(),
        Mark::Ends => "ends".to_owned(),
    };
    let sure = match (judged.mark(), judged.confidence) {
        (Mark::Unknown, _) => "",
        (_, Confidence::High) => ", high",
        (_, Confidence::Medium) => ", medium",
        (_, Confidence::Low) => ", low",
    };
    let (what, seconds) = match seconds {
        Some(seconds) => ("ended", format!("{seconds:.1}")),
        None => ("was still there", "–".to_owned()),
    };
    let version = version(name)
        .or_else(|| version(program))
        .unwrap_or_else(|| "–".to_owned());
    format!("| {name} | {version} | {signal} | {verdict}{sure} | {what} | {seconds} |")
}

/// Debian's package of the program that the row is named by, and its version.
fn version(name: &str) -> Option<String> {
    let word = name.split([' ', ',']).next().unwrap_or(name);
    let word = word.rsplit('/').next().unwrap_or(word);
    let places = [
        "/usr/bin",
        "/usr/sbin",
        "/bin",
        "/usr/lib/postgresql/15/bin",
    ];
    let places = places.map(|place| Path::new(place).join(word));
    let library = Path::new("/usr/lib/python3/dist-packages")
        .join(word)
        .join("__init__.py");
    let path = places
        .into_iter()
        .chain([library])
        .find(|path| path.exists());
    let asked = |arguments: &[&str]| -> Option<String> {
        let told = Command::new("dpkg-query").args(arguments).output().ok()?;
        String::from_utf8(told.stdout)
            .ok()
            .filter(|told| !told.is_empty())
    };
    path.and_then(|path| {
        let real: PathBuf = fs::canonicalize(&path).ok()?;
        if let Some(version) = of_npm(&real) {
            return Some(version);
        }
        // Before /usr was merged packages had their files in /bin.
        let short = real
            .strip_prefix("/usr")
            .map(|rest| Path::new("/").join(rest));
        let owner =
            asked(&["-S", real.to_str()?]).or_else(|| asked(&["-S", short.ok()?.to_str()?]))?;
        let package = owner.split([':', ',']).next()?;
        let version = asked(&["-W", "-f", "${Version}\n", package])?;
        Some(format!("{package} {}", version.lines().next()?))
    })
}

/// A package that npm has installed, and its version.
fn of_npm(program: &Path) -> Option<String> {
    let package = program.ancestors().find(|place| {
        place
            .parent()
            .is_some_and(|above| above.ends_with("node_modules"))
    })?;
    let text = fs::read(package.join("package.json")).ok()?;
    let told: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let word = |key| told.get(key)?.as_str();
    Some(format!("{} {}", word("name")?, word("version")?))
}

fn name_of(row: &str) -> &str {
    let row = row.trim_start_matches("| ");
    row.split(" | ").next().unwrap_or(row)
}

/// What of a row is the same on every machine.
fn lasting(row: &str) -> [String; 4] {
    let cells: Vec<&str> = row.split(" | ").collect();
    let cell = |at: usize| cells.get(at).copied().unwrap_or("").to_owned();
    [name_of(row).to_owned(), cell(2), cell(3), cell(4)]
}
