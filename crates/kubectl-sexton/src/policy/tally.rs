//! What all nodes say of the policies, added up: a policy has no status of its own, since
//! thousands of agents would write it.

use std::collections::BTreeMap;

use serde::Serialize;
use sexton_cluster::report::{Adherence, PolicyState, Status};
use sexton_core::policy::Mode;

use super::Stored;

/// A policy, and what the nodes make of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Its name.
    pub name: String,
    /// Whether it acts.
    pub mode: Mode,
    /// The newest generation that is known of; absent for a policy from files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// How many nodes follow that generation.
    pub following: u64,
    /// The nodes that follow an older one, or have not said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
    /// Why nodes refuse it, most first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Remark>,
    /// What nodes that follow it cannot do of it, most first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limited: Vec<Remark>,
}

/// The same said by several nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// What.
    pub message: String,
    /// Which nodes.
    pub nodes: Vec<String>,
}

/// Adds it up. `stored` are the policies of the API server, empty where they may not be read;
/// each node that reports ought to follow each of them.
pub fn tally(reports: &BTreeMap<String, Status>, stored: &[Stored]) -> Vec<Tally> {
    // By name, and those from files apart from those of the cluster.
    let mut found: BTreeMap<(&str, bool), BTreeMap<&str, &PolicyState>> = BTreeMap::new();
    for policy in stored {
        found.entry((&policy.name, true)).or_default();
    }
    for (node, status) in reports {
        for state in &status.policies {
            let of_cluster = state.observed_generation.is_some();
            // Deleted since: the node will hear of it.
            if of_cluster && !stored.is_empty() && !stored.iter().any(|p| p.name == state.name) {
                continue;
            }
            let states = found.entry((&state.name, of_cluster)).or_default();
            states.insert(node, state);
        }
    }
    found
        .into_iter()
        .map(|((name, of_cluster), states)| {
            let policy = stored
                .iter()
                .find(|policy| of_cluster && policy.name == name);
            one(name, policy, &states, of_cluster.then_some(reports))
        })
        .collect()
}

/// `expected` are the nodes that ought to speak of it.
fn one(
    name: &str,
    policy: Option<&Stored>,
    states: &BTreeMap<&str, &PolicyState>,
    expected: Option<&BTreeMap<String, Status>>,
) -> Tally {
    let told = states
        .values()
        .filter_map(|state| state.observed_generation);
    let generation = policy.and_then(|policy| policy.generation).or(told.max());
    let mode = policy
        .and_then(|policy| Some(policy.spec.as_ref().ok()?.mode))
        .or_else(|| states.values().map(|state| state.mode).next())
        .unwrap_or_default();
    let mut tally = Tally {
        name: name.to_owned(),
        mode,
        generation,
        following: 0,
        behind: Vec::new(),
        refused: Vec::new(),
        limited: Vec::new(),
    };
    let mut refused: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut limited: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (node, state) in states {
        let message = state.message.as_deref();
        let node = (*node).to_owned();
        match state.state {
            Adherence::Refused => refused
                .entry(message.unwrap_or("it does not say why"))
                .or_default()
                .push(node),
            Adherence::Following if state.observed_generation < generation => {
                tally.behind.push(node);
            }
            Adherence::Following => {
                tally.following += 1;
                if let Some(message) = message {
                    limited.entry(message).or_default().push(node);
                }
            }
        }
    }
    let silent = expected.into_iter().flat_map(BTreeMap::keys);
    let silent = silent.filter(|node| !states.contains_key(node.as_str()));
    tally.behind.extend(silent.cloned());
    tally.behind.sort();
    tally.refused = most_first(refused);
    tally.limited = most_first(limited);
    tally
}

fn most_first(remarks: BTreeMap<&str, Vec<String>>) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = remarks
        .into_iter()
        .map(|(message, nodes)| Remark {
            message: message.to_owned(),
            nodes,
        })
        .collect();
    remarks.sort_by_key(|remark| std::cmp::Reverse(remark.nodes.len()));
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_core::policy::PolicySpec;

    fn state(
        name: &str,
        generation: Option<i64>,
        state: Adherence,
        message: Option<&str>,
    ) -> PolicyState {
        PolicyState {
            name: name.to_owned(),
            observed_generation: generation,
            followed_generation: None,
            mode: Mode::DryRun,
            state,
            message: message.map(str::to_owned),
        }
    }

    fn reports(nodes: &[(&str, Vec<PolicyState>)]) -> BTreeMap<String, Status> {
        let status = |policies: &Vec<PolicyState>| Status {
            policies: policies.clone(),
            ..Status::default()
        };
        nodes
            .iter()
            .map(|(node, policies)| ((*node).to_owned(), status(policies)))
            .collect()
    }

    fn stored(name: &str, generation: i64) -> Stored {
        Stored {
            name: name.to_owned(),
            generation: Some(generation),
            spec: Ok(PolicySpec {
                mode: Mode::Enforce,
                ..PolicySpec::default()
            }),
        }
    }

    #[test]
    fn every_node_is_counted_once() {
        use Adherence::{Following, Refused};
        let reports = reports(&[
            ("a", vec![state("p", Some(3), Following, None)]),
            ("b", vec![state("p", Some(2), Following, None)]),
            ("c", vec![state("p", Some(3), Refused, Some("clash"))]),
            (
                "d",
                vec![state("p", Some(3), Following, Some("no restart here"))],
            ),
            ("e", vec![]),
            ("f", vec![state("p", Some(3), Refused, Some("clash"))]),
        ]);
        let tallies = tally(&reports, &[stored("p", 3)]);
        let remark = |message: &str, nodes: &[&str]| Remark {
            message: message.to_owned(),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        };
        assert_eq!(
            tallies,
            [Tally {
                name: "p".to_owned(),
                mode: Mode::Enforce,
                generation: Some(3),
                following: 2,
                behind: vec!["b".to_owned(), "e".to_owned()],
                refused: vec![remark("clash", &["c", "f"])],
                limited: vec![remark("no restart here", &["d"])],
            }]
        );
    }

    #[test]
    fn without_the_policies_the_newest_generation_counts() {
        use Adherence::Following;
        let reports = reports(&[
            ("a", vec![state("p", Some(3), Following, None)]),
            ("b", vec![state("p", Some(2), Following, None)]),
        ]);
        let tallies = tally(&reports, &[]);
        assert_eq!((tallies[0].generation, tallies[0].following), (Some(3), 1));
        assert_eq!(tallies[0].behind, ["b"]);
    }

    #[test]
    fn a_policy_from_files_is_that_of_its_nodes_alone() {
        use Adherence::Following;
        let reports = reports(&[
            ("a", vec![state("p", None, Following, None)]),
            ("b", vec![]),
        ]);
        let tallies = tally(&reports, &[stored("p", 1)]);
        assert_eq!(tallies.len(), 2);
        assert_eq!((tallies[0].generation, tallies[0].following), (None, 1));
        assert!(tallies[0].behind.is_empty());
        assert_eq!(tallies[1].behind, ["a", "b"]);
    }

    #[test]
    fn one_that_was_deleted_is_not_told() {
        let reports = reports(&[("a", vec![state("old", Some(1), Adherence::Following, None)])]);
        let tallies = tally(&reports, &[stored("p", 1)]);
        assert_eq!(tallies.len(), 1);
        assert_eq!(tallies[0].name, "p");
    }
}
