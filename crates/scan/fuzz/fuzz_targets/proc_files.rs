//! Every parser of a file of /proc, on the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sexton_scan::proc::{
    Cgroups, Loadavg, Sched, Stat, Status, arguments, parse_pids, resource_limit,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(stat) = Stat::parse(bytes) {
        // What was taken for the name lies between the first and the last bracket.
        let open = bytes.iter().position(|byte| *byte == b'(').unwrap();
        assert!(bytes[open + 1..].starts_with(&stat.comm));
        assert!(!(stat.is_reapable_zombie() && stat.is_dead_leader()));
    }
    if let Ok(status) = Status::parse(bytes) {
        assert!(!status.ns_pids.is_empty());
        let _ = (status.sigchld(), status.blocks_sigchld());
    }
    for line in Cgroups::parse(bytes).0 {
        assert!(line.path.starts_with(b"/"));
    }
    assert!(parse_pids(bytes).all(|pid| pid != 0));
    assert!(arguments(bytes).iter().all(|arg| !arg.contains(&0)));
    let _ = Loadavg::parse(bytes);
    let _ = Sched::parse(bytes);
    let _ = resource_limit(bytes, "Max processes");
});
