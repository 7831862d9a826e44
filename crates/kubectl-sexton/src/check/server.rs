//! What the chart gives to the API server: the custom resources, the rights of the agents, and
//! the policy that holds each agent to its own report.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use sexton_core::check::Check;

use super::rights::attributes;
use super::{names, unread};
use crate::connect::Connected;
use crate::error::Right;
use crate::seen::{self, AGENTS};

/// Where each definition says of which version of Sexton it is.
const VERSION: &str = "sexton.dev/version";
/// From this version on a server has constrained impersonation (KEP-5284).
const IMPERSONATES: (u32, u32) = (1, 36);

/// That both definitions are there, are served, and are of this version.
pub(super) async fn custom_resources(at: &Connected) -> Vec<Check> {
    const NAME: &str = "custom resources";
    let api: Api<CustomResourceDefinition> = Api::all(at.client.clone());
    let mut checks = Vec::new();
    for ours in sexton_cluster::crd::all() {
        let name = ours.metadata.name.clone().unwrap_or_default();
        match api.get_opt(&name).await {
            Ok(found) => checks.extend(definition(NAME, &name, &ours, found.as_ref())),
            Err(error) => checks.push(unread(NAME, &format!("{name}: {error}"))),
        }
    }
    if checks.is_empty() {
        let found = format!("both are of version {}", env!("CARGO_PKG_VERSION"));
        checks.push(Check::ok(NAME, found));
    }
    checks
}

fn definition(
    check: &str,
    name: &str,
    ours: &CustomResourceDefinition,
    found: Option<&CustomResourceDefinition>,
) -> Option<Check> {
    const APPLY: &str = "sexton crds | kubectl apply --server-side -f -";
    let Some(found) = found else {
        let advice = format!("Install the chart (docs/kubernetes.md), or: {APPLY}");
        let found = format!("{name} is not in this cluster");
        return Some(Check::failed(check, found, advice));
    };
    let conditions = found.status.as_ref().and_then(|s| s.conditions.as_ref());
    let established = conditions.is_some_and(|all| {
        all.iter()
            .any(|c| c.type_ == "Established" && c.status == "True")
    });
    if !established {
        let advice = format!("See why: kubectl describe crd {name}");
        let found = format!("{name} is there, and the server does not serve it");
        return Some(Check::failed(check, found, advice));
    }
    let version = |of: &CustomResourceDefinition| {
        let annotations = of.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(VERSION).cloned())
    };
    let (here, own) = (version(found), version(ours));
    (here != own).then(|| {
        let here = here.as_deref().unwrap_or("no known version");
        let own = own.as_deref().unwrap_or_default();
        let advice = format!(
            "Helm never upgrades custom resources. With the newer of the two versions: {APPLY}"
        );
        let found = format!("{name} is of {here}, this plugin is {own}");
        Check::warning(check, found, advice)
    })
}

/// Whether the agents act as their nodes. RBAC says yes to the right on a server that has never
/// heard of it. What proves it is a report that its node owns: without rights of its own to read
/// nodes, an agent learns the owner's UID as its node alone.
pub(super) async fn impersonation(
    at: &Connected,
    sets: &[DaemonSet],
    reports: &[DynamicObject],
    version: &Info,
) -> Check {
    let impersonates = Right::new(
        "impersonate:associated-node",
        "authentication.k8s.io",
        "nodes",
    );
    let mut rights = (true, false);
    for account in accounts(at, sets) {
        let both = (
            may(at, &account, impersonates).await,
            may(at, &account, Right::new("get", "", "nodes")).await,
        );
        match both {
            (Ok(as_node), Ok(plain)) => rights = (rights.0 && as_node, rights.1 || plain),
            (Err(error), _) | (_, Err(error)) => return unread("impersonation", &error),
        }
    }
    let is_owned = |report: &DynamicObject| {
        let owners = report.metadata.owner_references.iter().flatten();
        owners.into_iter().any(|owner| owner.kind == "Node")
    };
    let of = |owned: bool| {
        let those = reports.iter().filter(|report| is_owned(report) == owned);
        let those = those.filter_map(|report| report.metadata.name.as_deref());
        those.collect::<Vec<&str>>()
    };
    verdict(has_impersonation(version), rights, &of(true), &of(false))
}

/// `rights` are those to act as the node, and plain ones. The nodes of `owned` have proven it.
fn verdict(server: bool, rights: (bool, bool), owned: &[&str], unproven: &[&str]) -> Check {
    const NAME: &str = "impersonation";
    match rights {
        (false, _) if !server => Check::warning(
            NAME,
            "Kubernetes before 1.36 has no constrained impersonation: the rights of each agent \
             hold for all nodes",
            "Upgrade the cluster when you can. Until then keep the plain rights of the chart few \
             (rights.plain).",
        ),
        (false, _) => Check::warning(
            NAME,
            "this server has constrained impersonation, and the agents have no right to it: their \
             rights hold for all nodes",
            "helm upgrade … --set rights.impersonation=auto",
        ),
        (true, true) => Check::warning(
            NAME,
            "the agents may act as their nodes, and may read all nodes too",
            "Take the rule with get of nodes away from their account; the chart does not give it.",
        ),
        (true, false) if !unproven.is_empty() => Check::failed(
            NAME,
            format!(
                "does not work, or has not worked yet, on {}",
                names(unproven)
            ),
            "The server needs the feature ConstrainedImpersonation, the Node authorizer and \
             NodeRestriction. The log of the agents there tells the server's answer. Without \
             them: helm upgrade … --set rights.impersonation=never",
        ),
        (true, false) if owned.is_empty() => Check::warning(
            NAME,
            "the agents may act as their nodes, and none has reported yet",
            "Wait until the agents are ready, then check again.",
        ),
        (true, false) => Check::ok(NAME, format!("works on {}", names(owned))),
    }
}

fn has_impersonation(version: &Info) -> bool {
    let number = |text: &str| {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        digits.parse::<u32>().unwrap_or(0)
    };
    (number(&version.major), number(&version.minor)) >= IMPERSONATES
}

/// The names by which the server knows the agents.
fn accounts(at: &Connected, sets: &[DaemonSet]) -> Vec<String> {
    let account = |set: &DaemonSet| {
        let pod = set.spec.as_ref()?.template.spec.as_ref()?;
        let name = pod.service_account_name.as_deref().unwrap_or("default");
        Some(format!(
            "system:serviceaccount:{}:{name}",
            at.agent_namespace
        ))
    };
    sets.iter().filter_map(account).collect()
}

async fn may(at: &Connected, account: &str, right: Right) -> Result<bool, kube::Error> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(account.to_owned()),
            groups: Some(vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{}", at.agent_namespace),
                "system:authenticated".to_owned(),
            ]),
            resource_attributes: Some(attributes(right, &at.agent_namespace)),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(at.client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// That an admission policy of ours is bound, denies, and is about the agents' own account.
pub(super) async fn admission(at: &Connected, sets: &[DaemonSet]) -> Vec<Check> {
    const NAME: &str = "admission policy";
    let ours = ListParams::default().labels(AGENTS);
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(at.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(at.client.clone());
    let (policies, bindings) = match (
        seen::all(&policies, &ours).await,
        seen::all(&bindings, &ours).await,
    ) {
        (Ok(policies), Ok(bindings)) => (policies, bindings),
        (Err(error), _) | (_, Err(error)) => return vec![unread(NAME, &error)],
    };
    let held = |account: &String| {
        let of = |policy: &&ValidatingAdmissionPolicy| is_about(policy, account);
        policies
            .iter()
            .filter(of)
            .any(|policy| is_bound(policy, &bindings))
    };
    let check = |account: String| {
        if held(&account) {
            return Check::ok(
                NAME,
                format!("holds {account} to the reports of its own nodes"),
            );
        }
        let found = format!("nothing holds {account} to its own report: each agent may write all");
        let advice = "Install the chart's ValidatingAdmissionPolicy and its binding again: helm \
                      upgrade. The binding must deny.";
        Check::failed(NAME, found, advice)
    };
    accounts(at, sets).into_iter().map(check).collect()
}

fn is_about(policy: &ValidatingAdmissionPolicy, account: &str) -> bool {
    let quoted = format!("\"{account}\"");
    let conditions = policy.spec.iter().flat_map(|spec| &spec.match_conditions);
    let named = |mut all: std::slice::Iter<'_, _>| {
        all.any(
            |condition: &k8s_openapi::api::admissionregistration::v1::MatchCondition| {
                condition.expression.contains(&quoted)
            },
        )
    };
    conditions.into_iter().any(|all| named(all.iter()))
}

fn is_bound(
    policy: &ValidatingAdmissionPolicy,
    bindings: &[ValidatingAdmissionPolicyBinding],
) -> bool {
    let specs = bindings.iter().filter_map(|binding| binding.spec.as_ref());
    specs
        .filter(|spec| spec.policy_name.is_some() && spec.policy_name == policy.metadata.name)
        .any(|spec| {
            spec.validation_actions
                .iter()
                .flatten()
                .any(|a| a == "Deny")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_core::check::Status;

    #[test]
    fn what_is_known_of_impersonation() {
        use Status::{Failed, Ok, Warning};
        let nodes: &[&str] = &["n1"];
        for (server, rights, owned, unproven, expected) in [
            (true, (true, false), nodes, &[][..], Ok),
            (true, (true, false), nodes, nodes, Failed),
            (true, (true, false), &[], &[], Warning),
            // Plain rights would own the report too, so that proves nothing.
            (true, (true, true), nodes, &[], Warning),
            (true, (false, true), nodes, &[], Warning),
            (false, (false, true), nodes, &[], Warning),
            // The right alone does nothing on an old server: the reports tell.
            (false, (true, false), &[], nodes, Failed),
        ] {
            let check = verdict(server, rights, owned, unproven);
            assert_eq!(check.status, expected, "{check:?}");
        }
    }

    #[test]
    fn versions_of_servers() {
        let of = |major: &str, minor: &str| {
            has_impersonation(&Info {
                major: major.to_owned(),
                minor: minor.to_owned(),
                ..Info::default()
            })
        };
        assert!(of("1", "36") && of("1", "37+") && of("2", "0"));
        assert!(!of("1", "35") && !of("1", "9+") && !of("", ""));
    }
}
