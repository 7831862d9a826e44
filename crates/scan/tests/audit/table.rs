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

/// Tests write it at the same time.
static FILE: Mutex<()> = Mutex::new(());

/// Writes these rows, or compares them with those that are written.
pub(crate) fn agrees(happened: &[Happened]) {
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-signals.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let mut rows: BTreeMap<&str, String> = table
        .lines()
        .filter(|line| !HEAD.contains(line))
        .map(|line| (name_of(line), line.to_owned()))
        .collect();
    let mut wrong = Vec::new();
    for happened in happened {
        let row = row(happened);
        if rows.get(happened.name).map(|row| lasting(row)) != Some(lasting(&row)) {
            wrong.push(row.clone());
        }
        rows.insert(happened.name, row);
    }
    if std::env::var_os("SEXTON_WRITE_TABLE").is_some() {
        let rows: Vec<String> = rows.into_values().collect();
        let table = format!("{HEAD}{}\n", rows.join("\n"));
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(
            wrong.is_empty(),
            "not as written in {}; SEXTON_WRITE_TABLE=1 writes it anew: {wrong:#?}",
            path.display()
        );
    }
}

fn row(happened: &Happened) -> String {
    let Happened {
        name,
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
    let version = version(name);
    format!("| {name} | {version} | {signal} | {verdict}{sure} | {what} | {seconds} |")
}

/// Debian's package of the program that the row is named by, and its version.
fn version(name: &str) -> String {
    let word = name.split([' ', ',']).next().unwrap_or(name);
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
    let version = path.and_then(|path| {
        let real: PathBuf = fs::canonicalize(&path).ok()?;
        // Before /usr was merged packages had their files in /bin.
        let short = real
            .strip_prefix("/usr")
            .map(|rest| Path::new("/").join(rest));
        let owner =
            asked(&["-S", real.to_str()?]).or_else(|| asked(&["-S", short.ok()?.to_str()?]))?;
        let package = owner.split([':', ',']).next()?;
        let version = asked(&["-W", "-f", "${Version}\n", package])?;
        Some(format!("{package} {}", version.lines().next()?))
    });
    version.unwrap_or_else(|| "?".to_owned())
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
