//! What the caller may do, asked of the server, and which commands take it.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use sexton_core::check::Check;

use super::unread;
use crate::connect::Connected;
use crate::error::{GROUP, Right};

const NAME: &str = "rights";

/// Each right, and what does not work without it; the same table as in docs/kubectl.md.
const RIGHTS: [(Right, &str); 7] = [
    (
        Right::new("list", GROUP, "zombiereports"),
        "status, nodes, leaks, audit and page show nothing",
    ),
    (
        Right::new("list", GROUP, "reappolicies"),
        "policies are known from the reports alone",
    ),
    (
        Right::new("list", "", "nodes"),
        "nodes without a report are not shown",
    ),
    (
        Right {
            group: "apps",
            ..Right::with_agents("list", "daemonsets")
        },
        "agents that are down are not shown",
    ),
    (
        Right::with_agents("list", "pods"),
        "agents that are down are not shown, and nothing is asked of them",
    ),
    (
        Right::with_agents("create", "pods/exec"),
        "limits, audit POD and reap do not work, and explain tells what the report says",
    ),
    (
        Right::with_agents("get", "pods/exec"),
        "limits, audit POD and reap do not work, and explain tells what the report says",
    ),
];

/// A line a right that is missing.
pub(super) async fn checks(at: &Connected) -> Vec<Check> {
    let mut checks = Vec::new();
    for (right, cost) in RIGHTS {
        match has(at, right).await {
            Ok(true) => {}
            Ok(false) => {
                let Right { verb, resource, .. } = right;
                let found = format!("you may not {verb} {resource}: {cost}");
                let advice = format!("If you need it, ask for the rule {right}.");
                checks.push(Check::warning(NAME, found, advice));
            }
            Err(error) => return vec![unread(NAME, &error)],
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok(NAME, "yours do for every command"));
    }
    checks
}

async fn has(at: &Connected, right: Right) -> Result<bool, kube::Error> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes(right, &at.agent_namespace)),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(at.client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// A right as the server is asked for it.
pub(super) fn attributes(right: Right, agents: &str) -> ResourceAttributes {
    let Right {
        verb,
        group,
        resource,
        with_agents,
    } = right;
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, part)) => (resource, Some(part.to_owned())),
        None => (resource, None),
    };
    ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        namespace: with_agents.then(|| agents.to_owned()),
        ..ResourceAttributes::default()
    }
}
