//! What a cgroup path says: never a panic, and never an id that could be a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sexton_scan::container::{mark, pod_uid, unmarked_id};

fuzz_target!(|path: &[u8]| {
    if let Some(mark) = mark(path) {
        assert!(path.starts_with(mark.cgroup.as_bytes()));
        assert!(!mark.id.is_empty());
    }
    if let Ok(path) = str::from_utf8(path) {
        let _ = pod_uid(path);
        assert!(unmarked_id(path).is_none_or(|id| !id.contains('/')));
    }
});
