//! Who fills a limit that several share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sexton_core::LimitUser;
use sexton_core::text::leak;

use super::levels;
use crate::identity::Seen;
use crate::notes::Notes;
use crate::{Scanner, lossy, names};

/// So many are named, the largest.
const NAMED: usize = 5;
/// Processes of one container that are asked for their names.
const ASKED: usize = 1 << 12;

/// Looks up to whom tasks belong; what several limits ask of one container is read once.
pub(super) struct Users<'s> {
    scanner: &'s Scanner,
    seen: Seen,
    /// Containers in words, by their ids.
    places: HashMap<String, String>,
}

/// How much each has.
#[derive(Default)]
struct Sums(HashMap<String, u64>);

impl<'s> Users<'s> {
    pub(super) fn new(scanner: &'s Scanner) -> Self {
        Self {
            scanner,
            seen: Seen::default(),
            places: HashMap::new(),
        }
    }

    /// Of these processes, each with so many tasks: the containers, or the programs where all are
    /// of one.
    pub(super) fn of(&mut self, processes: &[(u32, u64)]) -> Vec<LimitUser> {
        let mut places = Sums::default();
        for (pid, tasks) in processes {
            let place = self.place(*pid);
            places.add(place.unwrap_or_else(|| leak::place(None)), *tasks);
        }
        if places.0.len() > 1 {
            return places.largest();
        }
        let pids = processes.iter().map(|(pid, _)| *pid);
        self.programs(pids, None)
    }

    /// Of a cgroup and all below it: the containers and units, or the programs where all are of
    /// one.
    ///
    /// What a cgroup itself holds is what the kernel counts less what it counts in those below:
    /// no list shows the zombies.
    pub(super) fn of_cgroup(&mut self, directories: &[PathBuf]) -> Vec<LimitUser> {
        let mut own: HashMap<&Path, u64> = HashMap::new();
        let counted = directories.iter().map(PathBuf::as_path);
        let all: Vec<(&Path, u64)> = counted
            .filter_map(|directory| Some((directory, levels::current(directory)?)))
            .collect();
        for (directory, current) in &all {
            own.insert(directory, *current);
        }
        for (directory, current) in &all {
            if let Some(above) = directory.parent().and_then(|above| own.get_mut(above)) {
                *above = above.saturating_sub(*current);
            }
        }
        let mut places = Sums::default();
        let (mut pids, mut container) = (Vec::new(), None);
        for (directory, own) in own.into_iter().filter(|(_, own)| *own > 0) {
            let listed = levels::lists(directory);
            let place = listed.iter().find_map(|pid| self.place(*pid));
            container = container.or_else(|| place.clone());
            let unit = || {
                directory
                    .file_name()
                    .map(|name| lossy(name.as_encoded_bytes()))
            };
            places.add(place.or_else(unit).unwrap_or_default(), own);
            pids.extend(listed);
        }
        if places.0.len() > 1 {
            return places.largest();
        }
        self.programs(pids.into_iter(), container.as_deref())
    }

    /// The container in words; `None` on the host, and where it cannot be told.
    fn place(&mut self, pid: u32) -> Option<String> {
        let mut notes = Notes::default();
        let found = self.scanner.contained(pid, &mut self.seen, &mut notes);
        let mut container = found.ok().flatten()?;
        if let Some(place) = self.places.get(&container.id) {
            return Some(place.clone());
        }
        names::complete(&self.scanner.roots().host, &mut container);
        let place = leak::place(Some(&container));
        self.places.insert(container.id, place.clone());
        Some(place)
    }

    fn programs(&self, pids: impl Iterator<Item = u32>, place: Option<&str>) -> Vec<LimitUser> {
        let mut programs = Sums::default();
        let mut buffer = Vec::new();
        for pid in pids.take(ASKED) {
            if let Ok(Some(stat)) = self.scanner.proc().stat(pid, &mut buffer) {
                let mut name = stat.comm.to_lossy();
                if let Some(place) = place {
                    name = format!("{name} in {place}");
                }
                programs.add(name, stat.threads.into());
            }
        }
        programs.largest()
    }
}

impl Sums {
    fn add(&mut self, name: String, more: u64) {
        let sum = self.0.entry(name).or_default();
        *sum = sum.saturating_add(more);
    }

    fn largest(self) -> Vec<LimitUser> {
        let users = self.0.into_iter();
        let mut users: Vec<LimitUser> =
            users.map(|(name, used)| LimitUser { name, used }).collect();
        users.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
        users.truncate(NAMED);
        users
    }
}
