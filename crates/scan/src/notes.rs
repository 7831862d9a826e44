//! What could not be read of a process or a cgroup. It costs that one a fact, and never the
//! look at the node: whoever owns a process has a say in what its files answer.

use std::collections::BTreeMap;

use sexton_core::text;

use crate::Error;

/// So many notes are kept; what is beyond is counted.
const MOST: usize = 16;
/// Characters of one note: it may hold a path of a cgroup, which others choose.
const LONGEST: usize = 300;

/// The facts that are not known, and why.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    list: Vec<String>,
    more: u64,
    unreadable: BTreeMap<String, u64>,
    /// What is denied is counted and not told: this viewer is shown little of anybody.
    silent_on_denial: bool,
}

impl Notes {
    /// For a look by somebody who is (`true`) or is not shown everything.
    pub(crate) fn of_viewer(sees_all: bool) -> Self {
        Self {
            silent_on_denial: !sees_all,
            ..Self::default()
        }
    }

    /// What was read: known, or gone (`None`). What is not known is noted and counted, and the
    /// look goes on.
    pub(crate) fn take<T>(&mut self, read: Result<Option<T>, Error>) -> Option<T> {
        match read {
            Ok(value) => value,
            Err(error) => {
                let silent = self.silent_on_denial && error.is_denied();
                // Some facts are read twice in one look.
                if silent || self.add(error.to_string()) {
                    let count = self.unreadable.entry(error.fact().to_owned()).or_default();
                    *count = count.saturating_add(1);
                }
                None
            }
        }
    }

    /// Adds a note, once.
    pub(crate) fn push(&mut self, note: impl Into<String>) {
        self.add(note.into());
    }

    /// `false` if it was there already.
    fn add(&mut self, mut note: String) -> bool {
        if let Some((cut, _)) = note.char_indices().nth(LONGEST) {
            note.truncate(cut);
            note.push('…');
        }
        if self.list.contains(&note) {
            return false;
        }
        if self.list.len() < MOST {
            self.list.push(note);
        } else {
            self.more = self.more.saturating_add(1);
        }
        true
    }

    /// Takes over how many facts could not be read, and not why.
    pub(crate) fn count(&mut self, other: &Self) {
        for (fact, more) in &other.unreadable {
            let count = self.unreadable.entry(fact.clone()).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// How many facts could not be read, by name.
    pub(crate) fn unreadable(&self) -> &BTreeMap<String, u64> {
        &self.unreadable
    }

    /// The notes, in the order in which they came.
    pub(crate) fn into_list(self) -> Vec<String> {
        let mut list = self.list;
        if self.more != 0 {
            list.push(format!("{} more of this kind", text::count(self.more)));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn refused(path: &str, errno: Errno) -> Result<Option<()>, Error> {
        Err(Error::io(path, errno))
    }

    #[test]
    fn what_is_not_known_is_told_once_and_counted_under_a_known_name() {
        let mut notes = Notes::of_viewer(true);
        for path in [
            "/proc/7/exe",
            "/proc/7/exe",
            "/proc/7/ns/pid",
            "/proc/7/task/9/status",
            "/proc/7/task/9",
            "/proc/7/fdinfo/3",
            "/proc/7",
            "/sys/fs/cgroup/a/pids.current",
            "/sys/fs/cgroup/any/name",
        ] {
            assert_eq!(notes.take(refused(path, Errno::IO)), None);
        }
        let counts: Vec<(&str, u64)> = (notes.unreadable())
            .iter()
            .map(|(fact, count)| (fact.as_str(), *count))
            .collect();
        let expected = [
            ("exe", 1),
            ("fdinfo", 1),
            ("ns", 1),
            ("other", 1),
            ("pids.current", 1),
            ("process", 1),
            ("status", 1),
            ("task", 1),
        ];
        assert_eq!(counts, expected);
        assert_eq!(notes.into_list().len(), 8);
    }

    #[test]
    fn a_crowd_of_notes_is_cut() {
        let mut notes = Notes::of_viewer(true);
        for pid in 1..=100 {
            notes.take(refused(&format!("/proc/{pid}/stat"), Errno::IO));
        }
        assert_eq!(notes.unreadable()["stat"], 100);
        let list = notes.into_list();
        assert_eq!(list.len(), MOST + 1);
        assert_eq!(list[MOST], "84 more of this kind");
    }

    #[test]
    fn denial_is_no_news_to_who_is_shown_little() {
        let mut notes = Notes::of_viewer(false);
        notes.take(refused("/proc/7/exe", Errno::ACCESS));
        assert_eq!(notes.unreadable()["exe"], 1);
        assert!(notes.into_list().is_empty());
    }
}
