//! The ReapPolicies of the cluster, as this node follows them.
//!
//! What is wrong is refused by name, and what was right before stays in force: a policy that
//! restrains another must not go missing by a slip of the pen. The CRD's rules refuse most of it
//! at the API server; what gets here all the same was written before those rules were there, or
//! by a server of another version.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::Client;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use sexton_core::ladder::Rung;
use sexton_core::policy::{Mode, Policy, PolicySpec, Selector, validate, validate_all};

mod object;
#[cfg(test)]
mod tests;

use object::RawPolicy;

use crate::Error;
use crate::report::{Adherence, PolicyState};
use crate::told::Told;

const SUBJECT: &str = "policies";

/// The ReapPolicies of the cluster, as this node follows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    /// The API server has been asked at least once. Before that nothing is known, and nothing is
    /// in force.
    pub synced: bool,
    /// Those in force, by name. A policy that is wrong is here as it was when it was right, or,
    /// where it never was, as one that only observes.
    pub in_force: Vec<Policy>,
    /// What this node says of each policy, by name: for its report.
    pub states: Vec<PolicyState>,
}

/// Watches the policies for ever and tells them.
pub(crate) async fn watch(client: Client, told: &Told) {
    // Read from the majority of etcd and not from a cache that may be behind: an agent that
    // starts must not act by what has been withdrawn. There are only a few of them.
    let config = watcher::Config::default();
    let events = watcher(Api::<RawPolicy>::all(client), config).default_backoff();
    follow(events, told).await;
}

async fn follow(events: impl Stream<Item = watcher::Result<Event<RawPolicy>>>, told: &Told) {
    let mut events = std::pin::pin!(events);
    let mut book = Book::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                told.note(SUBJECT, None);
                if let Some(policies) = book.take(event) {
                    let policies = Arc::new(policies);
                    let mut board = told.board();
                    let news = board.policies != policies;
                    board.policies = policies;
                    drop(board);
                    if news {
                        told.ring();
                    }
                }
            }
            Err(error) => told.note(SUBJECT, Some(book.trouble(&Error::from(error)))),
        }
    }
}

/// All policies, with what each was when it was last right.
#[derive(Default)]
struct Book {
    synced: bool,
    entries: BTreeMap<String, Entry>,
    /// While a new list comes in.
    list: Option<BTreeMap<String, RawPolicy>>,
}

/// One policy.
struct Entry {
    uid: Option<String>,
    generation: Option<i64>,
    mode: Mode,
    /// As it was when it was last right, and its generation then.
    good: Option<(Policy, Option<i64>)>,
    /// What is wrong with it now.
    problem: Option<String>,
    /// Whom it covers, as far as that can be read, where `problem` is there and `good` is not.
    covers: Option<Selector>,
}

impl Book {
    /// What follows from `event`; `None` while a list is not whole.
    fn take(&mut self, event: Event<RawPolicy>) -> Option<Policies> {
        match event {
            Event::Init => {
                self.list = Some(BTreeMap::new());
                return None;
            }
            Event::InitApply(raw) => {
                let name = raw.name();
                match &mut self.list {
                    Some(list) => drop(list.insert(name, raw)),
                    None => self.read(name, &raw),
                }
                return None;
            }
            Event::InitDone => {
                let list = self.list.take().unwrap_or_default();
                self.entries.retain(|name, _| list.contains_key(name));
                for (name, raw) in list {
                    self.read(name, &raw);
                }
                self.synced = true;
            }
            Event::Apply(raw) => self.read(raw.name(), &raw),
            Event::Delete(raw) => drop(self.entries.remove(&raw.name())),
        }
        Some(self.policies())
    }

    fn read(&mut self, name: String, raw: &RawPolicy) {
        let uid = raw.metadata.uid.clone();
        let generation = raw.metadata.generation;
        // Another of the same name is another policy: what that one said is no longer wanted.
        let before = self.entries.remove(&name).filter(|old| old.uid == uid);
        let good = before.and_then(|before| before.good);
        let entry = match parse(&name, &raw.spec) {
            Ok(policy) => Entry {
                uid,
                generation,
                mode: policy.spec.mode,
                good: Some((policy, generation)),
                problem: None,
                covers: None,
            },
            Err(problem) => Entry {
                uid,
                generation,
                mode: mode(&raw.spec),
                covers: good.is_none().then(|| selector(&name, &raw.spec)).flatten(),
                good,
                problem: Some(problem),
            },
        };
        self.entries.insert(name, entry);
    }

    fn policies(&self) -> Policies {
        let unreadable = self
            .entries
            .iter()
            .find(|(_, entry)| entry.good.is_none() && entry.covers.is_none())
            .map(|(name, _)| name);
        let mut in_force = Vec::new();
        let mut states = Vec::new();
        for (name, entry) in &self.entries {
            let (policy, followed) = match (&entry.good, &entry.covers) {
                (Some((policy, generation)), _) => (Some(policy.clone()), *generation),
                (None, Some(covers)) => (Some(observing(name, covers)), None),
                (None, None) => (None, None),
            };
            in_force.extend(policy.filter(|_| unreadable.is_none()));
            let message = match (&entry.problem, unreadable) {
                (Some(problem), _) => Some(entry.tell(problem, followed)),
                (None, Some(other)) => Some(format!(
                    "held back: policy {other} is wrong, and whom it covers cannot be read"
                )),
                (None, None) => None,
            };
            states.push(PolicyState {
                name: name.clone(),
                observed_generation: entry.generation,
                followed_generation: followed
                    .filter(|_| entry.problem.is_some() && unreadable.is_none()),
                mode: entry.mode,
                state: match message {
                    Some(_) => Adherence::Refused,
                    None => Adherence::Following,
                },
                message,
            });
        }
        tell_clashes(&in_force, &mut states);
        Policies {
            synced: self.synced,
            in_force,
            states,
        }
    }

    fn trouble(&self, error: &Error) -> String {
        let then = if self.synced {
            "those known stay in force"
        } else {
            "none is known, so nothing is done"
        };
        if error.code() == Some(404) {
            return format!(
                "the server has no ReapPolicies (`sexton crds | kubectl apply -f -` makes them): {then}"
            );
        }
        format!("the policies cannot be watched: {error}; {then}")
    }
}

impl Entry {
    fn tell(&self, problem: &str, followed: Option<i64>) -> String {
        let meanwhile = match (followed, &self.good, &self.covers) {
            (Some(generation), ..) => format!("generation {generation} stays in force"),
            (None, Some(_), _) => "what it said before stays in force".to_owned(),
            (None, None, Some(_)) => {
                "until it is right, what it covers is only observed".to_owned()
            }
            (None, None, None) => {
                "whom it covers cannot be read, so nothing is done on this node".to_owned()
            }
        };
        format!("{problem}; {meanwhile}")
    }
}

/// Two that say the same cover the same equally narrowly: neither holds, on whichever node and in
/// whatever order they came, and both say so.
fn tell_clashes(in_force: &[Policy], states: &mut [PolicyState]) {
    for clash in validate_all(in_force) {
        let name = |index: usize| in_force[index].name().to_owned();
        let pair = [(clash.policy, clash.other), (clash.other, clash.policy)];
        for (this, other) in pair.map(|(this, other)| (name(this), name(other))) {
            let state = states.iter_mut().find(|state| state.name == this);
            if let Some(state) = state.filter(|state| state.message.is_none()) {
                state.state = Adherence::Refused;
                state.message = Some(format!(
                    "spec.selector: it says the same as that of policy {other}, so neither holds"
                ));
            }
        }
    }
}

/// # Errors
/// All that is wrong, in one sentence.
fn parse(name: &str, spec: &Value) -> Result<Policy, String> {
    let spec: PolicySpec = match spec {
        Value::Null => PolicySpec::default(),
        spec => serde_json::from_value(spec.clone()).map_err(|error| format!("spec: {error}"))?,
    };
    let policy = Policy::new(name, spec);
    let problems = validate(&policy);
    if problems.is_empty() {
        return Ok(policy);
    }
    let problems: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.message))
        .collect();
    Err(problems.join("; "))
}

/// Whether it would act, of a policy that is wrong.
fn mode(spec: &Value) -> Mode {
    serde_json::from_value(spec["mode"].clone()).unwrap_or_default()
}

/// Whom it covers, of a policy that is wrong elsewhere.
fn selector(name: &str, spec: &Value) -> Option<Selector> {
    let selector = match &spec["selector"] {
        Value::Null => Selector::default(),
        value => serde_json::from_value(value.clone()).ok()?,
    };
    validate(&observing(name, &selector))
        .is_empty()
        .then_some(selector)
}

/// In the place of a policy that was never right: what it covers is left alone, and no wider
/// policy takes it over.
fn observing(name: &str, covers: &Selector) -> Policy {
    let spec = PolicySpec {
        selector: covers.clone(),
        max_rung: Rung::Observe,
        ..PolicySpec::default()
    };
    Policy::new(name, spec)
}
