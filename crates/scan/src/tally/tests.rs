use super::*;

fn cgroup(parent: Option<usize>, tasks: Option<u64>, threads: u64) -> Counted {
    Counted {
        parent,
        path: b".".to_vec(),
        tasks,
        threads,
    }
}

fn missing(counted: &[Counted], all_tasks: u64) -> Vec<(Vec<usize>, u64)> {
    suspects(counted, all_tasks)
        .into_iter()
        .map(|unit| (unit.cgroups, unit.missing))
        .collect()
}

#[test]
fn every_node_answers_for_itself() {
    let tree = [
        cgroup(None, None, 5),
        cgroup(Some(0), Some(12), 2), // 12 - 6 - 3 below it, 2 live: 1 missing
        cgroup(Some(1), Some(6), 4),  // 2 missing
        cgroup(Some(1), Some(3), 3),
    ];
    assert_eq!(missing(&tree, 17), [(vec![1], 1), (vec![2], 2)]);
    // One more task than that is counted: it is in the root.
    assert_eq!(missing(&tree, 18)[0], (vec![0], 1));
}

#[test]
fn what_has_no_counter_goes_with_the_next_above() {
    let tree = [
        cgroup(None, None, 5),
        cgroup(Some(0), Some(7), 1),
        cgroup(Some(1), None, 2),
        cgroup(Some(2), None, 1),
        cgroup(Some(3), Some(2), 2),
    ];
    assert_eq!(missing(&tree, 12), [(vec![1, 2, 3], 1)]);
    // No controller anywhere: the machine's count is all there is.
    let tree = [cgroup(None, None, 5), cgroup(Some(0), None, 2)];
    assert_eq!(missing(&tree, 9), [(vec![0, 1], 2)]);
}

#[test]
fn more_live_than_counted_is_a_race_not_a_zombie() {
    let tree = [cgroup(None, None, 5), cgroup(Some(0), Some(3), 4)];
    assert!(missing(&tree, 8).is_empty());
}
