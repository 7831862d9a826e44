use super::*;
use crate::Roots;
use crate::proc::Loadavg;

#[test]
fn births_during_the_count_may_stand_in_for_zombies() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("sys/kernel")).unwrap();
    std::fs::write(dir.path().join("loadavg"), "0 0 0 1/50 900\n").unwrap();
    std::fs::write(dir.path().join("sys/kernel/pid_max"), "32768\n").unwrap();
    let scanner = Scanner::new(Roots {
        proc: dir.path().to_owned(),
        cgroup: dir.path().to_owned(),
        host: dir.path().to_owned(),
    })
    .unwrap();
    let at_most = |last_pid, threads| {
        let before = Loadavg {
            running: 1,
            tasks: 50,
            last_pid,
        };
        scanner.at_most(before, threads).unwrap()
    };
    assert_eq!(at_most(900, 50), 0);
    assert_eq!(at_most(900, 47), 3);
    // Two were born: 50 listed may be 48 of then and those two.
    assert_eq!(at_most(898, 50), 2);
    assert_eq!(at_most(898, 52), 0);
    // Around the circle.
    assert_eq!(at_most(32_760, 50), 908);
}
