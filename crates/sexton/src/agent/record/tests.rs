use std::path::{Path, PathBuf};

use sexton_core::ProcessId;
use sexton_core::ladder::{Fingerprint, Rung};
use sexton_core::policy::Mode;

use super::*;

fn at(uptime_millis: u64) -> Stamp {
    Stamp {
        time: "2026-11-24T03:00:00Z".to_owned(),
        uptime_millis,
    }
}

fn intent(log: &mut Log, now: &Stamp, boot: &str) -> Intent {
    Intent {
        id: log.next_id(now),
        time: now.time.clone(),
        uptime_millis: now.uptime_millis,
        boot: boot.to_owned(),
        node: "n".to_owned(),
        policy: "p".to_owned(),
        mode: Mode::Enforce,
        rung: Rung::Reap,
        reason: "r".to_owned(),
        holder: ProcessId {
            pid: 7,
            start_ticks: 8,
        },
        name: "python3".to_owned(),
        command_line: vec!["python3".to_owned()],
        container: None,
        zombies: 3,
        place: None,
        fingerprint: Fingerprint(9),
    }
}

fn outcome(intent: &Intent) -> StepOutcome {
    StepOutcome {
        id: intent.id.clone(),
        time: intent.time.clone(),
        uptime_millis: intent.uptime_millis + 1,
        verdict: StepVerdict::Succeeded,
        detail: "3 of 3".to_owned(),
        zombies: Some(BeforeAndAfter { before: 3, left: 0 }),
        new_container: None,
        statuses: vec![],
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    (dir, path)
}

#[test]
fn what_was_done_is_found_again() {
    let (_dir, path) = place();
    let (mut log, past) = Log::open(&path, "boot", &at(1)).unwrap();
    assert!(past.actions.is_empty());
    let first = intent(&mut log, &at(2), "boot");
    log.intend(&first).unwrap();
    log.conclude(&outcome(&first)).unwrap();
    let second = intent(&mut log, &at(3), "boot");
    assert_ne!(first.id, second.id);
    log.intend(&second).unwrap();
    drop(log);

    // The second was cut off.
    let (_, past) = Log::open(&path, "boot", &at(10)).unwrap();
    assert_eq!(past.interrupted, 1);
    let verdicts: Vec<_> = past
        .actions
        .iter()
        .map(|action| action.outcome.as_ref().unwrap().verdict)
        .collect();
    assert_eq!(verdicts, [StepVerdict::Succeeded, StepVerdict::Interrupted]);
    assert_eq!(past.actions[0].step().fingerprint, Fingerprint(9));
    // It is closed now, and stays so.
    let (_, past) = Log::open(&path, "boot", &at(11)).unwrap();
    assert_eq!((past.interrupted, past.actions.len()), (0, 2));
    // After a reboot none of it counts.
    let (_, past) = Log::open(&path, "another boot", &at(1)).unwrap();
    assert!(past.actions.is_empty());
}

#[test]
fn a_torn_line_spoils_no_other() {
    let (_dir, path) = place();
    let (mut log, _) = Log::open(&path, "boot", &at(1)).unwrap();
    let first = intent(&mut log, &at(2), "boot");
    log.intend(&first).unwrap();
    drop(log);
    let mut text = std::fs::read_to_string(&path).unwrap();
    text += "{\"entry\":\"outc";
    std::fs::write(&path, &text).unwrap();
    let (mut log, past) = Log::open(&path, "boot", &at(3)).unwrap();
    assert_eq!((past.unreadable, past.interrupted), (1, 1));
    let second = intent(&mut log, &at(4), "boot");
    log.intend(&second).unwrap();
    log.conclude(&outcome(&second)).unwrap();
    let (_, past) = Log::open(&path, "boot", &at(5)).unwrap();
    assert_eq!((past.unreadable, past.actions.len()), (1, 2));
}

#[test]
fn a_line_that_a_full_disk_cut_off_does_not_swallow_the_next() {
    let (_dir, path) = place();
    let (mut log, _) = Log::open(&path, "boot", &at(1)).unwrap();
    let first = intent(&mut log, &at(2), "boot");
    log.intend(&first).unwrap();
    // As a write that came to an end of the disk leaves it.
    let mut text = std::fs::read_to_string(&path).unwrap();
    text += "{\"entry\":\"outc";
    std::fs::write(&path, &text).unwrap();
    log.file.tear();
    log.conclude(&outcome(&first)).unwrap();
    let (_, past) = Log::open(&path, "boot", &at(3)).unwrap();
    assert_eq!(
        (past.unreadable, past.interrupted, past.actions.len()),
        (1, 0, 1)
    );
}

#[test]
fn it_is_put_aside_when_it_is_large_and_read_across_the_seam() {
    let (dir, path) = place();
    let file = File::open(&path).unwrap().with_largest(2_000);
    let mut log = Log::new(file);
    let mut written = 0;
    for uptime in 1..=150 {
        let intent = intent(&mut log, &at(uptime), "boot");
        log.intend(&intent).unwrap();
        log.conclude(&outcome(&intent)).unwrap();
        written += 1;
    }
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 6, "the file and five that were put aside");
    let (_, past) = Log::open(&path, "boot", &at(50)).unwrap();
    assert!(past.actions.len() >= 2 && past.actions.len() < written);
    assert_eq!(past.unreadable, 0);
}

#[test]
fn it_is_not_for_everybody_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, path) = place();
    let _ = Log::open(&path, "boot", &at(1)).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// One step of a leak that comes back every second.
fn step(log: &mut Log, seconds: u64, zombies: u64) -> (Intent, StepOutcome) {
    let now = Stamp {
        time: sexton_core::text::time::rfc3339(1_800_000_000 + seconds),
        uptime_millis: 5_000_000 + seconds * 1_000,
    };
    let mut intent = intent(log, &now, "boot");
    intent.zombies = zombies;
    intent.fingerprint = Fingerprint(u64::MAX - seconds);
    log.intend(&intent).unwrap();
    let mut outcome = outcome(&intent);
    outcome.zombies = Some(BeforeAndAfter {
        before: zombies,
        left: 0,
    });
    outcome.statuses = vec![sexton_reap::Status {
        command: "true".to_owned(),
        count: zombies,
        ..status()
    }];
    log.conclude(&outcome).unwrap();
    (intent, outcome)
}

fn status() -> sexton_reap::Status {
    serde_json::from_value(serde_json::json!({"command": "", "exit": {"code": 0}, "count": 0}))
        .unwrap()
}

#[test]
fn a_later_step_is_told_in_a_few_words_and_read_as_if_in_full() {
    let (_dir, path) = place();
    let (mut log, _) = Log::open(&path, "boot", &at(1)).unwrap();
    let first = step(&mut log, 1, 3);
    let full = std::fs::metadata(&path).unwrap().len();
    let mut steps = vec![first];
    steps.extend((2..=50).map(|second| step(&mut log, second, second)));
    let short = (std::fs::metadata(&path).unwrap().len() - full) / 49;
    assert!(short < 200, "{short} bytes a step");
    assert!(lines(&path)[2..].iter().all(|line| line["of"] == "1"));

    let (_, past) = Log::open(&path, "boot", &at(60)).unwrap();
    assert_eq!((past.unreadable, past.interrupted), (0, 0));
    assert_eq!(past.actions.len(), steps.len());
    for (read, (intent, outcome)) in past.actions.iter().zip(&steps) {
        let written = Intent {
            command_line: vec![],
            ..intent.clone()
        };
        assert_eq!(read.intent, written);
        let read = read.outcome.as_ref().unwrap();
        let written = StepOutcome {
            statuses: vec![],
            detail: read.detail.clone(),
            ..outcome.clone()
        };
        assert_eq!(*read, written);
    }
}

#[test]
fn what_is_different_is_told_in_full() {
    let (_dir, path) = place();
    let (mut log, _) = Log::open(&path, "boot", &at(1)).unwrap();
    step(&mut log, 1, 3);
    let changes: [fn(&mut Intent); 5] = [
        |intent| intent.reason = "another".to_owned(),
        |intent| intent.policy = "another".to_owned(),
        |intent| intent.command_line.push("another".to_owned()),
        |intent| intent.holder.pid = 70,
        // As after the clock was set.
        |intent| intent.time = "2030-01-01T00:00:00Z".to_owned(),
    ];
    for change in changes {
        let mut intent = intent(&mut log, &at(5_002_000), "boot");
        intent.time = sexton_core::text::time::rfc3339(1_800_000_002);
        change(&mut intent);
        log.intend(&intent).unwrap();
        let written = lines(&path).pop().unwrap();
        assert!(written["of"].is_null(), "{written}");
        assert_eq!(written["id"], intent.id);
    }
    // An outcome that is not as the first one was.
    let (_, mut outcome) = step(&mut log, 3, 3);
    let mut intent = intent(&mut log, &at(5_004_000), "boot");
    intent.time = sexton_core::text::time::rfc3339(1_800_000_004);
    log.intend(&intent).unwrap();
    assert!(lines(&path).pop().unwrap()["of"].is_string());
    outcome.id = intent.id;
    outcome.verdict = StepVerdict::Failed;
    log.conclude(&outcome).unwrap();
    assert!(lines(&path).pop().unwrap()["of"].is_null());
}

#[test]
fn each_file_can_be_read_by_itself() {
    let (dir, path) = place();
    let file = File::open(&path).unwrap().with_largest(3_000);
    let mut log = Log::new(file);
    for second in 1..=60 {
        step(&mut log, second, 3);
    }
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let file = entry.unwrap().path();
        let lines = lines(&file);
        assert!(lines[0]["of"].is_null(), "{}", file.display());
        assert!(lines.len() < 4 || lines[3]["of"].is_string());
    }
    // What is cut off in a few words is closed, too.
    let now = at(5_061_000);
    // An id's length depends on our pid: the first line may begin a new file, in full.
    let mut in_few_words = || {
        let mut last = intent(&mut log, &now, "boot");
        last.time = sexton_core::text::time::rfc3339(1_800_000_061);
        log.intend(&last).unwrap();
        let short = lines(&path).pop().unwrap()["of"].is_string();
        short.then_some(last)
    };
    let first = in_few_words();
    let full = u64::from(first.is_none());
    let last = first.or_else(in_few_words).unwrap();
    let (_, past) = Log::open(&path, "boot", &now).unwrap();
    assert_eq!((past.unreadable, past.interrupted as u64), (0, 1 + full));
    let closed = past.actions.last().unwrap();
    assert_eq!(closed.intent.id, last.id);
    assert_eq!(
        closed.outcome.as_ref().unwrap().verdict,
        StepVerdict::Interrupted
    );
}

#[test]
fn no_line_is_longer_than_its_room() {
    let (_dir, path) = place();
    let (mut log, _) = Log::open(&path, "boot", &at(1)).unwrap();
    let mut intent = intent(&mut log, &at(2), "boot");
    intent.command_line = vec![String::new(); 200_000];
    intent.name = "\u{1}".repeat(50_000);
    intent.place = Some("\"".repeat(50_000));
    log.intend(&intent).unwrap();
    let mut outcome = outcome(&intent);
    outcome.statuses = (0..20_000)
        .map(|number| sexton_reap::Status {
            command: format!("\u{7f}\u{2}{number}"),
            count: 1,
            ..status()
        })
        .collect();
    outcome.detail = "\u{3}".repeat(100_000);
    log.conclude(&outcome).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        assert!(line.len() < fit::LINE, "{}", line.len());
        assert!(line.contains("\"cut\":true"));
    }
    let (_, past) = Log::open(&path, "boot", &at(3)).unwrap();
    assert_eq!((past.unreadable, past.actions.len()), (0, 1));
    assert_eq!(past.actions[0].intent.id, intent.id);
}

#[test]
fn what_is_remembered_is_bounded_and_what_ended_something_goes_last() {
    let (_dir, path) = place();
    let (mut log, _) = Log::open(&path, "boot", &at(1)).unwrap();
    for number in 0..REMEMBERED as u64 + 100 {
        let mut intent = intent(&mut log, &at(10 + number), "boot");
        if number == 3 {
            intent.rung = Rung::Restart;
        }
        let line = Entry::Intent(Before::Full(Box::new(intent.clone())));
        log.file.append(&line, false).unwrap();
        let line = Entry::Outcome(After::Full(outcome(&intent)));
        log.file.append(&line, false).unwrap();
    }
    let (_, past) = Log::open(&path, "boot", &at(9_999)).unwrap();
    assert_eq!(past.actions.len(), REMEMBERED);
    assert_eq!(past.actions[0].intent.rung, Rung::Restart);
}
