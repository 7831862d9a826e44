//! What a TARGET fits on this node.

use std::collections::BTreeSet;

use sexton_core::{Container, Report};

use super::inventory::{Inventory, Placed, pod_name};
use super::{Target, workload};
use crate::error::Error;
use crate::output::{leak, text};

/// So many are listed when a name fits several, or none.
const LISTED: usize = 20;
const NEAREST: usize = 3;

/// One thing that a name fits.
#[derive(Clone, Debug)]
pub enum Thing {
    Container(Placed),
    /// All containers of a pod, and how it is called.
    Pod(String, Vec<Placed>),
    /// A process, its name and its container.
    Program(u32, String, Option<Container>),
}

impl Inventory {
    /// All that `target` fits, which is no pid. Of programs, those that hold zombies by `report`,
    /// if any does.
    pub fn things(&self, target: &Target, report: Option<&Report>) -> Vec<Thing> {
        match target {
            Target::Pid(_) => Vec::new(),
            Target::Container(name) => self.containers_named(name),
            Target::Pod(name) => self.pods_named(name),
            Target::Any(name) => {
                let mut all = self.containers_named(name);
                all.extend(self.pods_named(name));
                all.extend(self.programs_named(name, report));
                all
            }
        }
    }

    /// The one thing that `target` means.
    ///
    /// A container and a program in it often bear the same name, and the pod too: then the
    /// container is meant, as long as nothing outside it bears the name.
    pub fn the_thing(&self, target: &Target, report: Option<&Report>) -> Result<Thing, Error> {
        let mut things = self.things(target, report);
        let rest = things.split_off(things.len().min(1));
        let Some(first) = things.pop() else {
            return Err(self.nothing(target));
        };
        if rest.iter().all(|other| first.overlaps(other)) {
            return Ok(first);
        }
        let all: Vec<&Thing> = std::iter::once(&first).chain(&rest).collect();
        let mut choices: Vec<String> = all.iter().take(LISTED).map(|t| self.choice(t)).collect();
        if all.len() > LISTED {
            choices.push(format!(
                "and {} more",
                text::count((all.len() - LISTED) as u64)
            ));
        }
        Err(Error::Ambiguous {
            target: text::safe(target.text()).into_owned(),
            count: all.len(),
            choices: choices.join("\n  "),
        })
    }

    /// Says that there is nothing of that name, and which names come near.
    pub fn nothing(&self, target: &Target) -> Error {
        let near = nearest(target.text(), self.names());
        let near = if near.is_empty() {
            String::new()
        } else {
            format!("; the nearest: {}", text::safe(&near.join(", ")))
        };
        let kind = match target {
            Target::Pid(_) => "process",
            Target::Container(_) => "container",
            Target::Pod(_) => "pod",
            Target::Any(_) => "process, container or pod",
        };
        let name = text::safe(target.text());
        Error::NoSuchTarget(format!("no {kind} named {name} on this node{near}"))
    }

    fn containers_named(&self, name: &str) -> Vec<Thing> {
        let those = |is: &dyn Fn(&Container) -> bool| -> Vec<Thing> {
            let all = self
                .containers
                .iter()
                .filter(|placed| is(&placed.container));
            all.cloned().map(Thing::Container).collect()
        };
        let is_named = |c: &Container| c.name.as_deref() == Some(name);
        if self.containers.iter().any(|p| p.container.id == name) {
            return those(&|c| c.id == name || is_named(c));
        }
        // Who names a container may name it like the beginning of another's id.
        those(&|c| is_named(c) || !name.is_empty() && c.id.starts_with(name))
    }

    /// A name with its namespace, or a uid, is that of one pod. A bare name may be that of a pod
    /// here and of a workload there.
    fn pods_named(&self, name: &str) -> Vec<Thing> {
        let exact = self.pods(|container| is_pod(container, name));
        if exact.is_empty() || !name.contains('/') && !is_uid(&exact, name) {
            return self.pods(|c| is_pod(c, name) || is_workload(c, name));
        }
        exact
    }

    fn pods(&self, is_it: impl Fn(&Container) -> bool) -> Vec<Thing> {
        let mut found: Vec<(String, Vec<Placed>)> = Vec::new();
        for placed in self.containers.iter().filter(|p| is_it(&p.container)) {
            let Some(pod) = &placed.container.pod else {
                continue;
            };
            let same = |(_, of): &&mut (String, Vec<Placed>)| {
                of.iter()
                    .any(|other| same_pod(&other.container, &placed.container))
            };
            match found.iter_mut().find(same) {
                Some((_, of)) => of.push(placed.clone()),
                None => found.push((pod_name(pod), vec![placed.clone()])),
            }
        }
        let pods = found.into_iter();
        pods.map(|(name, containers)| Thing::Pod(name, containers))
            .collect()
    }

    fn programs_named(&self, name: &str, report: Option<&Report>) -> Vec<Thing> {
        let holds = |pid: u32| {
            report.is_some_and(|report| report.leaks.iter().any(|leak| leak.holder.id.pid == pid))
        };
        let mut all: Vec<_> = self.programs.iter().filter(|p| p.is(name)).collect();
        if all.iter().any(|program| holds(program.pid)) {
            all.retain(|program| holds(program.pid));
        }
        let thing = |program| {
            let container = self.container_of(program).cloned();
            Thing::Program(program.pid, program.name().to_owned(), container)
        };
        all.into_iter().map(thing).collect()
    }

    /// What to type for it, and what it is.
    fn choice(&self, thing: &Thing) -> String {
        let (typed, what) = match thing {
            Thing::Container(Placed { container, .. }) => {
                let short = container.short_id();
                let alike = |p: &&Placed| {
                    let Container { id, name, .. } = &p.container;
                    id.starts_with(short) || name.as_deref() == Some(short)
                };
                let id = match self.containers.iter().filter(alike).count() {
                    1 => short,
                    _ => &container.id,
                };
                (format!("container/{id}"), leak::place(Some(container)))
            }
            Thing::Pod(name, containers) => {
                let containers = containers.len() as u64;
                let count = text::plural(containers, "container", "containers");
                (format!("pod/{name}"), count)
            }
            Thing::Program(pid, name, container) => {
                let place = leak::place(container.as_ref());
                (format!("pid/{pid}"), format!("{name}, {place}"))
            }
        };
        format!("{}  {}", text::safe(&typed), text::safe(&what))
    }
}

impl Thing {
    /// One lies in the other.
    fn overlaps(&self, other: &Self) -> bool {
        let (own, its) = (self.containers(), other.containers());
        let within = |small: &[&Container], large: &[&Container]| {
            !small.is_empty() && small.iter().all(|c| large.iter().any(|l| l.id == c.id))
        };
        match (self, other) {
            (Self::Program(pid, ..), Self::Program(other, ..)) => pid == other,
            // A program is not the container that it runs in, so it has to be asked for by pid.
            (Self::Program(..), _) => false,
            (Self::Container(_), Self::Container(_)) | (Self::Pod(..), Self::Pod(..)) => false,
            _ => within(&own, &its) || within(&its, &own),
        }
    }

    fn containers(&self) -> Vec<&Container> {
        match self {
            Self::Container(placed) => vec![&placed.container],
            Self::Pod(_, placed) => placed.iter().map(|placed| &placed.container).collect(),
            Self::Program(_, _, container) => container.iter().collect(),
        }
    }
}

fn same_pod(one: &Container, other: &Container) -> bool {
    match (&one.pod, &other.pod) {
        (Some(one), Some(other)) if one.uid.is_some() && other.uid.is_some() => {
            one.uid == other.uid
        }
        (Some(one), Some(other)) => one.name.is_some() && pod_name(one) == pod_name(other),
        _ => false,
    }
}

/// `name` is the uid of one of these pods.
fn is_uid(pods: &[Thing], name: &str) -> bool {
    let has = |container: &&Container| uid(container) == Some(name);
    pods.iter().any(|pod| pod.containers().iter().any(has))
}

fn uid(container: &Container) -> Option<&str> {
    container.pod.as_ref().and_then(|pod| pod.uid.as_deref())
}

/// `name` is the pod's name, NAMESPACE/NAME or uid.
fn is_pod(container: &Container, name: &str) -> bool {
    uid(container) == Some(name) || pod_fits(container, name, |pod, name| pod == name)
}

/// `name` is that of what made the pod: NAME or NAMESPACE/NAME.
fn is_workload(container: &Container, name: &str) -> bool {
    let owner = container.owner.as_ref().map(|owner| owner.name.as_str());
    pod_fits(container, name, |pod, name| {
        owner == Some(name) || workload::may_own(name, pod)
    })
}

fn pod_fits(container: &Container, name: &str, fits: impl Fn(&str, &str) -> bool) -> bool {
    let Some(pod) = &container.pod else {
        return false;
    };
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    (namespace.is_none() || pod.namespace.as_deref() == namespace)
        && pod.name.as_deref().is_some_and(|pod| fits(pod, name))
}

/// The names that `asked` may be a slip of, the nearest first.
fn nearest(asked: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    const ALIKE: f64 = 0.6;
    let bare = asked.rsplit('/').next().unwrap_or(asked);
    let likeness = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        let begins = !bare.is_empty() && last.starts_with(bare);
        let alike = strsim::normalized_damerau_levenshtein(bare, last);
        if begins { alike.max(ALIKE) } else { alike }
    };
    // What is longer is no slip, and the time to compare grows with both.
    const LONGEST: usize = 100;
    let names: BTreeSet<String> = names
        .filter(|name| !name.is_empty() && name.len() <= LONGEST && asked.len() <= LONGEST)
        .collect();
    let mut near: Vec<(f64, String)> = names
        .into_iter()
        .map(|name| (likeness(&name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.into_iter()
        .map(|(_, name)| name)
        .take(NEAREST)
        .collect()
}

#[cfg(test)]
mod tests;
