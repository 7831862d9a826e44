//! What a killed run left behind.

use std::fs;
use std::sync::Once;

use crate::hierarchies::{Hierarchies, remove_everywhere};
use crate::names::is_leftover;

/// Removes the cgroups (with the processes in them) and temporary directories of makers that
/// have ended. Once a process; guards call it.
pub fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Ok(hierarchies) = Hierarchies::find() {
            for mount in &hierarchies.all {
                for name in leftovers(mount) {
                    remove_everywhere(&hierarchies, &name);
                }
            }
        }
        let temp = std::env::temp_dir();
        for name in leftovers(&temp) {
            // Another run may sweep at the same moment.
            let _ = fs::remove_dir_all(temp.join(name));
        }
    });
}

fn leftovers(dir: &std::path::Path) -> Vec<String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_leftover(name))
        .collect()
}
