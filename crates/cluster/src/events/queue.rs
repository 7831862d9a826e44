//! What is to be told, and what has been.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event as Object;
use serde_json::Value;
use tokio::time::Instant;

use super::object::{Identity, Key, series};
use super::pace::{LONGEST, between};
use super::{Event, Reason};

/// So many different events wait or are remembered at most.
pub(super) const MOST: usize = 256;

/// What is to be told, and what has been.
pub(super) struct Queue {
    identity: Identity,
    entries: HashMap<Key, Entry>,
    /// Happenings of which nobody was told.
    lost: u64,
}

/// One event, however often it happens.
struct Entry {
    /// What waits to be told; none where all is.
    waiting: Option<Waiting>,
    written: Option<Written>,
    /// When it last happened.
    last: Instant,
}

struct Waiting {
    note: String,
    first: Timestamp,
    last: Timestamp,
    count: i32,
    /// Its first event, once one was tried to be written: the same name at the next try.
    event: Option<Object>,
}

struct Written {
    name: String,
    count: i32,
    writes: u32,
    at: Instant,
}

/// What is to be written next.
#[derive(Clone, Debug)]
pub(super) struct Due {
    key: Key,
    pub reason: Reason,
    pub at: Instant,
    pub namespace: String,
    pub name: String,
    /// The event is there, and is to be counted up.
    pub again: bool,
    pub event: Object,
    pub series: Value,
    pub count: i32,
}

impl Queue {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            entries: HashMap::new(),
            lost: 0,
        }
    }

    pub(super) fn put(&mut self, event: &Event, time: Timestamp, now: Instant) {
        for (key, note) in self.identity.keys(event) {
            let entry = self.entries.entry(key).or_insert_with(|| Entry {
                waiting: None,
                written: None,
                last: now,
            });
            // What rested for long is another story, with a note of its own.
            let rested = now.duration_since(entry.last) > LONGEST * 2;
            if rested && entry.waiting.is_none() {
                entry.written = None;
            }
            entry.last = now;
            let waiting = entry.waiting.get_or_insert(Waiting {
                note,
                first: time,
                last: time,
                count: 0,
                event: None,
            });
            waiting.last = time;
            waiting.count = waiting.count.saturating_add(1);
        }
        while self.entries.len() > MOST {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        // What is only remembered goes first.
        let oldest = self
            .entries
            .iter()
            .min_by_key(|(_, entry)| (entry.waiting.is_some(), entry.last))
            .map(|(key, _)| key.clone());
        if let Some(entry) = oldest.and_then(|key| self.entries.remove(&key)) {
            self.lose(entry.waiting.as_ref());
        }
    }

    fn lose(&mut self, waiting: Option<&Waiting>) {
        let count = waiting.map_or(0, |waiting| waiting.count);
        self.lost += u64::try_from(count).unwrap_or_default();
    }

    /// What may be written first.
    pub(super) fn next(&mut self, now: Instant) -> Option<Due> {
        let (key, at) = self
            .entries
            .iter()
            .filter_map(|(key, entry)| {
                let first = entry.waiting.as_ref()?.first;
                let at = entry
                    .written
                    .as_ref()
                    .map_or(now, |written| written.at + between(written.writes));
                Some((key, at.max(now), first))
            })
            .min_by_key(|(_, at, first)| (*at, *first))
            .map(|(key, at, _)| (key.clone(), at))?;
        let entry = self.entries.get_mut(&key)?;
        let waiting = entry.waiting.as_mut()?;
        let (name, before) = match &entry.written {
            Some(written) => (written.name.clone(), written.count),
            None => (String::new(), 0),
        };
        let count = before.saturating_add(waiting.count);
        let again = entry.written.is_some();
        let event = if again {
            Object::default()
        } else {
            let (note, first) = (&waiting.note, waiting.first);
            waiting
                .event
                .get_or_insert_with(|| self.identity.object(&key, note, first))
                .clone()
        };
        Some(Due {
            reason: key.reason,
            at,
            namespace: key.namespace.clone(),
            name: event.metadata.name.clone().unwrap_or(name),
            again,
            event,
            series: series(count, waiting.last),
            count,
            key,
        })
    }

    /// It has been written.
    pub(super) fn written(&mut self, due: &Due, now: Instant) {
        let Some(entry) = self.entries.get_mut(&due.key) else {
            return;
        };
        // The event itself tells the first; more is for its series.
        let told = if due.again { due.count } else { 1 };
        let before = entry.written.as_ref().map_or(0, |written| written.count);
        if let Some(waiting) = &mut entry.waiting {
            waiting.count -= told - before;
            waiting.event = None;
            if waiting.count <= 0 {
                entry.waiting = None;
            }
        }
        let writes = entry.written.as_ref().map_or(0, |written| written.writes);
        entry.written = Some(Written {
            name: due.name.clone(),
            count: told,
            writes: writes.saturating_add(1),
            at: now,
        });
    }

    /// The event that it was to be counted on is gone.
    pub(super) fn begin_anew(&mut self, due: &Due) {
        if let Some(entry) = self.entries.get_mut(&due.key) {
            entry.written = None;
        }
    }

    /// It will never be taken.
    pub(super) fn refused(&mut self, due: &Due) {
        let entry = self.entries.remove(&due.key);
        self.lose(entry.as_ref().and_then(|entry| entry.waiting.as_ref()));
    }

    /// How much was lost, in a sentence.
    pub(super) fn lost(&self) -> Option<String> {
        let events = if self.lost == 1 { "event" } else { "events" };
        (self.lost > 0)
            .then(|| format!("{} {events} could not be told and were dropped", self.lost))
    }
}
