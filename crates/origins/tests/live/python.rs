//! Python: the user's line is named, not that of a library; in a thread, beside one that behaves.

use std::path::Path;
use std::process::Command;

use sexton_origins::Place;

const UTIL: &str = "import subprocess

def run(command):
    return subprocess.run(command).returncode
";

const CRAWL: &str = r#"import subprocess, threading, time
import driver, util

kept = []

def fetch(url):
    kept.append(subprocess.Popen(["/bin/true", url]))

def seldom(url):
    kept.append(driver.start(["/bin/true", url]))

def loop():
    n = 0
    while True:
        n += 1
        fetch("a") if n % 10 else seldom("b")
        util.run(["/bin/true"])
        time.sleep(0.02)

threading.Thread(target=loop).start()
"#;

/// A package that was installed: who uses it is the program.
const DRIVER: &str = "import subprocess

def start(command):
    return subprocess.Popen(command)
";

/// The program above in a folder, to be run by Debian's Python 3.11; `None` where there is none.
fn program(dir: &Path) -> Option<Command> {
    let packages = dir.join("lib/python3.11/site-packages");
    std::fs::create_dir_all(&packages).unwrap();
    std::fs::write(dir.join("util.py"), UTIL).unwrap();
    std::fs::write(dir.join("crawl.py"), CRAWL).unwrap();
    std::fs::write(packages.join("driver.py"), DRIVER).unwrap();
    let python = "/usr/bin/python3.11";
    if !Path::new(python).exists() {
        eprintln!("skipped: there is no {python} here");
        return None;
    }
    let mut command = Command::new(python);
    command
        .arg(dir.join("crawl.py"))
        .env("PYTHONPATH", &packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

#[test]
fn the_users_line_is_named_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let Some(command) = program(dir.path()) else {
        return;
    };
    // With so many children seldom() is met, too, however loaded the machine is.
    let Some(places) = crate::places_of(command, 12) else {
        return;
    };
    let named = |place: &Place| {
        let first = place.chain.first().unwrap();
        let (file, line) = first.source.clone().unwrap();
        let file = file.rsplit('/').next().unwrap().to_owned();
        (file, line, first.function.clone().unwrap())
    };
    let known: Vec<_> = places.iter().filter(|place| place.is_known()).collect();
    for place in &known {
        let (file, line, function) = named(place);
        let leaks = match (file.as_str(), line, function.as_str()) {
            ("crawl.py", 7, "fetch") | ("crawl.py", 10, "seldom") => true,
            ("util.py", 4, "run") => false,
            _ => panic!("no child is started there: {places:#?}"),
        };
        assert_eq!(leaks, place.standing > 0, "{places:#?}");
        assert_eq!(place.gone() == 0, leaks, "{places:#?}");
    }
    assert_eq!(known.len(), 3, "{places:#?}");
    assert_eq!(named(known[0]).2, "fetch", "{places:#?}");
    assert!(known[0].started > known[1].started, "{places:#?}");
    let caller = known[0]
        .chain
        .get(1)
        .and_then(|frame| frame.function.clone());
    assert_eq!(caller.as_deref(), Some("loop"));
}

/// Where nothing proves that the frames held still, no line is named: `os.fork` shares no memory.
#[test]
fn a_fork_that_cannot_be_seen_still_has_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut command) = program(dir.path()) else {
        return;
    };
    let forks = "import os, time
while True:
    if os.fork() == 0: os._exit(0)
    time.sleep(0.05)
";
    std::fs::write(dir.path().join("crawl.py"), forks).unwrap();
    command.env_remove("PYTHONPATH");
    let Some(places) = crate::places_of(command, 4) else {
        return;
    };
    assert!(places.iter().any(|place| place.standing > 0), "{places:#?}");
    assert!(places.iter().all(|place| !place.is_known()), "{places:#?}");
}
