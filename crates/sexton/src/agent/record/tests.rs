use std::path::PathBuf;

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

fn outcome(intent: &Intent) -> Outcome {
    Outcome {
        id: intent.id.clone(),
        time: intent.time.clone(),
        uptime_millis: intent.uptime_millis + 1,
        verdict: Verdict::Succeeded,
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
    assert_eq!(verdicts, [Verdict::Succeeded, Verdict::Interrupted]);
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
    for uptime in 1..=40 {
        let intent = intent(&mut log, &at(uptime), "boot");
        log.intend(&intent).unwrap();
        log.conclude(&outcome(&intent)).unwrap();
        written += 1;
    }
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, 5, "the file and four that were put aside");
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
