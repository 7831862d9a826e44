use super::*;
use sexton_core::ladder::Rung;
use std::time::Duration;

fn crawler(message: &str) -> Event {
    Event {
        about: About::Pod {
            pod: Pod {
                uid: Some("p-1".to_owned()),
                name: Some("crawler-7d4b9c-x2x4z".to_owned()),
                namespace: Some("shop".to_owned()),
            },
            owner: Some(Owner {
                kind: "Deployment".to_owned(),
                name: "crawler".to_owned(),
                api_version: Some("apps/v1".to_owned()),
                uid: None,
            }),
        },
        reason: Reason::Reap(Stage::Succeeded),
        message: message.to_owned(),
    }
}

fn node(message: &str) -> Event {
    Event {
        about: About::Node,
        reason: Reason::PidsExhaustionForecast,
        message: message.to_owned(),
    }
}

fn time(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_795_536_000 + second).unwrap()
}

fn queue() -> Queue {
    Queue::new(Identity::of("node1"))
}

#[test]
fn reasons_are_words_that_say_how_it_ended() {
    let of = |rung, stage| Reason::of(rung, stage).map(|reason| reason.to_string());
    assert_eq!(of(Rung::Observe, Stage::Starting), None);
    assert_eq!(of(Rung::Nudge, Stage::Succeeded).unwrap(), "ReapSucceeded");
    assert_eq!(
        of(Rung::Restart, Stage::Starting).unwrap(),
        "RestartStarting"
    );
    assert_eq!(of(Rung::Evict, Stage::DryRun).unwrap(), "EvictDryRun");
    assert!(Reason::EvictionBlocked.is_warning());
    assert!(Reason::HolderKilled.is_warning());
    assert_eq!(Reason::HolderKilled.to_string(), "HolderKilled");
    assert!(Reason::Terminate(Stage::Failed).is_warning());
    assert!(!Reason::Terminate(Stage::DryRun).is_warning());
}

#[test]
fn an_event_is_told_on_the_pod_and_on_its_owner() {
    let mut queue = queue();
    let start = Instant::now();
    queue.put(&crawler("12 of 12 zombies taken"), time(0), start);
    let mut told = vec![];
    while let Some(due) = queue.next(start) {
        assert!(!due.again);
        queue.written(&due, start);
        told.push(due.event);
    }
    told.sort_by_key(|event| event.note.clone());
    assert_eq!(told.len(), 2);
    let (pod, owner) = (&told[0], &told[1]);
    assert_eq!(pod.note.as_deref(), Some("12 of 12 zombies taken"));
    assert_eq!(pod.reason.as_deref(), Some("ReapSucceeded"));
    assert_eq!(pod.type_.as_deref(), Some("Normal"));
    assert_eq!(pod.reporting_instance.as_deref(), Some("node1"));
    let on = pod.regarding.as_ref().unwrap();
    assert_eq!(
        (on.kind.as_deref(), on.uid.as_deref()),
        (Some("Pod"), Some("p-1"))
    );
    let on = owner.regarding.as_ref().unwrap();
    assert_eq!(
        owner.note.as_deref(),
        Some("Pod crawler-7d4b9c-x2x4z: 12 of 12 zombies taken")
    );
    assert_eq!((on.name.as_deref(), &on.uid), (Some("crawler"), &None));
    assert_eq!(on.api_version.as_deref(), Some("apps/v1"));
    assert_ne!(pod.metadata.name, owner.metadata.name);
}

#[test]
fn what_happens_again_is_counted_and_written_ever_more_rarely() {
    let mut queue = queue();
    let start = Instant::now();
    let mut now = start;
    let mut writes = vec![];
    // Once a second for two hours.
    for second in 0..7_200 {
        now = start + Duration::from_secs(second);
        queue.put(&node("soon"), time(0), now);
        while let Some(due) = queue.next(now).filter(|due| due.at <= now) {
            writes.push((second, due.again, due.count));
            queue.written(&due, now);
        }
    }
    assert_eq!(writes[0], (0, false, 1));
    assert_eq!(writes[1], (60, true, 61));
    assert_eq!(writes[2], (180, true, 181));
    let seconds: Vec<u64> = writes.iter().map(|(second, ..)| *second).collect();
    let gaps: Vec<u64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..6], [60, 120, 240, 480, 600, 600]);
    assert!(writes.len() < 20, "{writes:?}");

    // After a rest it is told anew, with what it says then.
    now += Duration::from_secs(3_600);
    let rest = queue.next(now).unwrap();
    queue.written(&rest, now);
    now += Duration::from_secs(3_600);
    queue.put(&node("sooner"), time(9_999), now);
    let anew = queue.next(now).unwrap();
    assert!(!anew.again);
    assert_eq!(anew.event.note.as_deref(), Some("sooner"));
}

#[test]
fn what_came_while_nobody_listened_is_told_with_its_own_time_and_number() {
    let mut queue = queue();
    let start = Instant::now();
    for second in 0..5 {
        queue.put(&node("soon"), time(second), start);
    }
    let first = queue.next(start).unwrap();
    let same = queue.next(start).unwrap();
    assert_eq!(first.name, same.name, "a second try must not tell it twice");
    assert_eq!(first.event.event_time.as_ref().unwrap().0, time(0));
    queue.written(&first, start);
    let rest = queue.next(start).unwrap();
    assert!(rest.again && rest.at > start);
    assert_eq!(rest.series["series"]["count"], 5);
    // It lived for an hour, and is gone.
    queue.begin_anew(&rest);
    let anew = queue.next(start).unwrap();
    assert!(!anew.again);
    assert_ne!(anew.name, first.name);
}

#[test]
fn the_oldest_is_dropped_and_counted_when_there_is_too_much() {
    let mut queue = queue();
    let start = Instant::now();
    let event = |n: usize| {
        let mut event = crawler("x");
        if let About::Pod { pod, owner } = &mut event.about {
            pod.name = Some(format!("pod-{n}"));
            *owner = None;
        }
        event
    };
    for n in 0..queue::MOST + 10 {
        queue.put(&event(n), time(0), start + Duration::from_secs(n as u64));
    }
    assert_eq!(
        queue.lost().unwrap(),
        "10 events could not be told and were dropped"
    );
    let due = queue.next(start + Duration::from_secs(999)).unwrap();
    // What has been told makes room first.
    queue.written(&due, start);
    queue.put(&event(9_999), time(0), start + Duration::from_secs(9_999));
    assert_eq!(
        queue.lost().unwrap(),
        "10 events could not be told and were dropped"
    );
    let refused = queue.next(start + Duration::from_secs(9_999)).unwrap();
    queue.refused(&refused);
    assert!(queue.lost().unwrap().starts_with("11 "));
}

#[test]
fn notes_are_cut_and_dry_runs_are_marked() {
    let mut queue = queue();
    let now = Instant::now();
    let mut event = crawler(&"ä".repeat(2_000));
    event.reason = Reason::Reap(Stage::DryRun);
    queue.put(&event, time(0), now);
    for _ in 0..2 {
        let due = queue.next(now).unwrap();
        queue.written(&due, now);
        let note = due.event.note.unwrap();
        assert!(note.len() <= 1_024 && note.ends_with('…'));
        assert!(note.contains("Dry run: ä"));
    }
    // A container of no pod concerns nobody in the cluster.
    let mut nameless = crawler("x");
    if let About::Pod { pod, .. } = &mut nameless.about {
        pod.name = None;
    }
    queue.put(&nameless, time(0), now);
    assert!(queue.next(now).is_none());
}

#[test]
fn a_node_has_so_much_to_say_at_once_and_then_a_little_at_a_time() {
    let start = Instant::now();
    let mut bucket = Bucket::new(start);
    let mut at_once = 0;
    while bucket.ready(start) <= start {
        bucket.take(start);
        at_once += 1;
    }
    assert_eq!(at_once, 20);
    assert_eq!(bucket.ready(start), start + Duration::from_secs(10));
    let hour = start + Duration::from_secs(3_600);
    assert_eq!(bucket.ready(hour), hour);
    let mut later = 0;
    while bucket.ready(hour) <= hour {
        bucket.take(hour);
        later += 1;
    }
    assert_eq!(later, 20, "no more than before");
}
