//! Policies by watch.

use serde_json::{Value, json};
use sexton_cluster::report::{Adherence, PolicyState};
use sexton_core::policy::Mode;
use sexton_lab::require;

use crate::world::{World, until};

pub(crate) fn policy(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "sexton.dev/v1alpha1", "kind": "ReapPolicy",
        "metadata": {"name": name}, "spec": spec,
    })
}

#[test]
fn policies_are_followed_refused_and_forgotten() {
    let Some(world) = require(World::shared()) else {
        return;
    };
    let agent = world.agent("node1");
    let state = |name: &str| -> Option<PolicyState> {
        let policies = agent.policies();
        policies
            .states
            .iter()
            .find(|state| state.name == name)
            .cloned()
    };
    let mode = |name: &str| {
        let policies = agent.policies();
        let found = policies
            .in_force
            .iter()
            .find(|policy| policy.name() == name);
        found.map(|policy| policy.spec.mode)
    };
    until("the first list", || agent.policies().synced);
    let spec = json!({"selector": {"namespaces": ["followed"]}, "settle": "20s"});
    world.apply(&policy("followed", &spec));
    until("it is followed", || mode("followed") == Some(Mode::DryRun));
    let enforced = json!({"selector": {"namespaces": ["followed"]}, "mode": "enforce"});
    world.apply(&policy("followed", &enforced));
    until("it is enforced", || mode("followed") == Some(Mode::Enforce));
    let followed = state("followed").unwrap();
    assert_eq!(
        (followed.state, followed.observed_generation),
        (Adherence::Following, Some(2))
    );

    let wrong =
        json!({"selector": {"namespaces": ["followed"]}, "mode": "enforce", "maxRung": "roof"});
    world.apply(&policy("followed", &wrong));
    until("it is refused", || {
        state("followed").unwrap().state == Adherence::Refused
    });
    let refused = state("followed").unwrap();
    assert_eq!(
        (refused.observed_generation, refused.followed_generation),
        (Some(3), Some(2))
    );
    assert!(refused.message.unwrap().contains("roof"));
    assert_eq!(mode("followed"), Some(Mode::Enforce));

    world.apply(&policy(
        "clashes",
        &json!({"selector": {"namespaces": ["followed"]}}),
    ));
    until("both are told", || {
        let told = |name, other| {
            state(name).is_some_and(|state| state.message.is_some_and(|text| text.contains(other)))
        };
        told("clashes", "followed")
    });
    world
        .lab
        .kubectl(&["delete", "reappolicy", "followed", "clashes"]);
    until("they are gone", || {
        mode("followed").is_none() && mode("clashes").is_none()
    });
}
