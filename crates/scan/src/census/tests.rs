use super::*;

#[test]
fn a_zombie_is_fresh_if_it_lived_or_was_not_born_at_the_first_look() {
    let look = |last_pid| FirstLook {
        at: Instant::now(),
        last_pid,
        live: vec![10, 20],
    };
    let first = look(100);
    assert!(first.is_fresh(10, 120));
    assert!(!first.is_fresh(11, 120));
    assert!(!first.is_fresh(100, 120) && first.is_fresh(101, 120) && first.is_fresh(120, 120));
    assert!(!first.is_fresh(121, 120));
    // The pids went round the circle.
    let first = look(32_000);
    assert!(first.is_fresh(32_001, 400) && first.is_fresh(400, 400));
    assert!(!first.is_fresh(401, 400) && !first.is_fresh(32_000, 400));
}
