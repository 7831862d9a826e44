use super::*;

fn zombie(pid: u32, comm: &str, session: u32, start: u64) -> Stat {
    let line = format!(
        "{pid} ({comm}) Z 20 {pid} {session} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
    );
    Stat::parse(line.as_bytes()).unwrap()
}

#[test]
fn a_sample_is_spread_from_the_first_to_the_last() {
    let all: Vec<u32> = (0..1_000).collect();
    let few = spread(&all, 5);
    assert_eq!(few, [0, 249, 499, 749, 999]);
    assert_eq!(spread(&all, 1), [0]);
    assert_eq!(spread(&all[..3], 5), [0, 1, 2]);
    assert!(spread::<u32>(&[], 5).is_empty());
    assert!(spread(&all, 999).windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn scaled_counts_add_up() {
    let inspected: Vec<Stat> = (0..7)
        .map(|i| zombie(i, ["chrome", "sh", "curl"][i as usize % 3], 1, 1))
        .collect();
    let exact = commands(&inspected, 7);
    let counts: Vec<(&str, u64)> = exact.iter().map(|c| (c.name.as_str(), c.count)).collect();
    assert_eq!(counts, [("chrome", 3), ("curl", 2), ("sh", 2)]);
    for zombies in [7, 8, 100, 25_000, 36_001] {
        let scaled = commands(&inspected, zombies);
        assert_eq!(scaled.iter().map(|c| c.count).sum::<u64>(), zombies);
        assert_eq!(scaled[0].name, "chrome");
    }
    assert!(commands(&[], 0).is_empty());
}

#[test]
fn ages_tell_the_history_of_a_leak() {
    // At 10,000 s, with 100 ticks a second.
    let started = |seconds: u64| zombie(5, "x", 1, seconds * 100);
    let inspected = [
        started(5_000),
        started(7_000),
        started(9_500),
        started(9_990),
    ];
    let ages = ages(&inspected, 40, 400_000, (1_000_000, 100));
    assert_eq!(ages.oldest_seconds, Some(5_000));
    assert_eq!(ages.youngest_seconds, Some(10));
    let Started {
        last_minute,
        last_ten_minutes,
        last_hour,
    } = ages.started;
    assert_eq!((last_minute, last_ten_minutes, last_hour), (10, 20, 30));
    let none = super::ages(&[], 0, 400_000, (1_000_000, 100));
    assert_eq!((none.oldest_seconds, none.started.last_hour), (None, 0));
}

#[test]
fn only_a_foreign_session_proves_an_adoption() {
    let mut holder = sexton_core::Holder {
        id: sexton_core::ProcessId {
            pid: 20,
            start_ticks: 1,
        },
        ns_pids: vec![20],
        pid_namespace: None,
        of_host: true,
        name: "x".to_owned(),
        command_line: Vec::new(),
        executable: None,
        parent_pid: 1,
        uid: 0,
        threads: 1,
        state: sexton_core::State::Sleeping,
        frozen: false,
        traced_by: None,
        namespace_init: false,
        subreaper: false,
        holds_as: sexton_core::holder::HoldsAs::Parent,
        sigchld: sexton_core::SigchldAction::Default,
        sigchld_blocked: false,
    };
    let of_session = |session| zombie(20, "x", session, 1);
    let inherited = of_session(10);
    // The holder's own session, one of the child's own, one out of sight.
    let own = [
        zombie(30, "x", 10, 1),
        zombie(31, "x", 31, 1),
        zombie(32, "x", 0, 1),
    ];
    assert!(!is_subreaper(&holder, &inherited, &own));
    let foreign = [zombie(33, "x", 77, 1)];
    assert!(is_subreaper(&holder, &inherited, &foreign));
    // As `docker exec` and CI start things: the holder's session is led from outside.
    assert!(!is_subreaper(
        &holder,
        &of_session(0),
        &[own[1].clone(), own[2].clone()]
    ));
    assert!(is_subreaper(&holder, &of_session(0), &foreign));
    // A leader may have made its session after the fork.
    assert!(!is_subreaper(&holder, &of_session(20), &foreign));
    holder.namespace_init = true;
    assert!(!is_subreaper(&holder, &inherited, &foreign));
}
