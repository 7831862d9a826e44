//! `ReapPolicy`: the policy document of `sexton_core` as a custom resource.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{ObjectMeta, TypeMeta};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton_core::policy::{
    KIND, LEAST_SETTLE, LEAST_SPAN, LONGEST_LABEL_VALUE, LONGEST_SPAN, MOST_ENTRIES, NO_CLASS,
    Policy, PolicySpec, Span,
};

use super::schema::{at, object, of, rule};
use super::{Definition, column, resource};

/// A policy as the API server holds it. It has no status: every node would write it. Each
/// node's report says which policies it follows, at which generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReapPolicy {
    /// `apiVersion` and `kind`.
    #[serde(flatten)]
    pub types: TypeMeta,
    /// Name, generation and the like.
    pub metadata: ObjectMeta,
    /// What it says.
    #[serde(default)]
    pub spec: PolicySpec,
}

resource!(ReapPolicy, "reappolicies");

impl ReapPolicy {
    /// A policy of this name.
    #[must_use]
    pub fn new(name: &str, spec: PolicySpec) -> Self {
        Self {
            types: TypeMeta::resource::<Self>(),
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec,
        }
    }

    /// The document that the rest of Sexton knows.
    #[must_use]
    pub fn to_policy(&self) -> Policy {
        Policy::new(
            self.metadata.name.as_deref().unwrap_or_default(),
            self.spec.clone(),
        )
    }
}

pub(super) fn definition() -> CustomResourceDefinition {
    let columns = vec![
        column("Mode", "string", ".spec.mode", 0, "Whether it acts."),
        column(
            "Max Rung",
            "string",
            ".spec.maxRung",
            0,
            "The highest rung of the ladder that may be taken.",
        ),
        column(
            "Paused",
            "boolean",
            ".spec.paused",
            0,
            "It does nothing for now.",
        ),
        column(
            "Namespaces",
            "string",
            ".spec.selector.namespaces",
            0,
            "Whom it covers; empty for all.",
        ),
        column("Age", "date", ".metadata.creationTimestamp", 0, "Its age."),
        column(
            "Opt-In",
            "boolean",
            ".spec.requireOptIn",
            1,
            "Only pods that ask for it are touched.",
        ),
        column(
            "Settle",
            "string",
            ".spec.settle",
            1,
            "How long a zombie must have been dead.",
        ),
        column(
            "Autoreap",
            "string",
            ".spec.autoreap",
            1,
            "Whose future children the kernel may reap.",
        ),
    ];
    let mut spec = of::<PolicySpec>();
    // What is left out is filled in by the API server, so that columns and `-o yaml` show it. A
    // default is validated as it stands, so this one is whole.
    spec["default"] = json!(PolicySpec::default());
    add_rules(&mut spec);
    Definition {
        kind: KIND,
        plural: "reappolicies",
        short: "rpol",
        columns,
        status: false,
        schema: object(
            "Which zombies may be dealt with, how far, how often and when. Every field has a safe \
             default: a policy without a spec covers all containers and only tells what reaping \
             would do.",
            json!({"spec": spec}),
        ),
    }
    .build()
}

/// What `sexton_core::policy::validate` refuses, in CEL; the two are in the same order and say the
/// same in the same words, and a test holds them together.
fn add_rules(spec: &mut Value) {
    selector(at(spec, "selector"));
    labels(at(spec, "selector.podSelector"));
    let for_host = "has(self.selector.hostProcesses)";
    rule(
        spec,
        &format!("!{for_host} || self.maxRung in ['observe', 'nudge', 'reap']"),
        "reap is the highest rung for processes of the host",
        Some(".maxRung"),
    );
    rule(
        spec,
        &format!("!{for_host} || !self.requireOptIn"),
        "a process of the host has no annotations: it would never be covered",
        Some(".requireOptIn"),
    );
    rule(
        spec,
        "self.autoreap != 'any' || !(self.maxRung in ['observe', 'nudge', 'reap'])",
        "maxRung never comes to autoreap; leave it out or raise maxRung",
        Some(".autoreap"),
    );
    span(at(spec, "settle"), LEAST_SETTLE);
    for of in ["", "disruption."] {
        threshold(at(spec, &format!("{of}threshold")));
        for per in ["perHolder", "perContainer", "perNode"] {
            let per = at(spec, &format!("{of}rateLimits.{per}.per"));
            span(per, LEAST_SPAN);
        }
        window(at(spec, &format!("{of}windows[]")));
    }
    span(at(spec, "disruption.escalateAfter"), LEAST_SPAN);
    span(at(spec, "disruption.gracePeriod"), LEAST_SPAN);
    rule(
        at(spec, "disruption.evict.allow"),
        "self.all(a, self.exists_one(b, b == a))",
        "one of them is there twice",
        None,
    );
}

fn selector(selector: &mut Value) {
    rule(
        selector,
        "!has(self.hostProcesses) || !(has(self.namespaces) || has(self.containers) \
         || has(self.commands) || has(self.cgroups) \
         || has(self.podSelector) && (has(self.podSelector.matchExpressions) \
         || has(self.podSelector.matchLabels) && size(self.podSelector.matchLabels) > 0))",
        "a policy covers processes of the host or containers, not both: write two",
        Some(".hostProcesses"),
    );
    for list in ["namespaces[]", "containers[]", "commands[]", "cgroups[]"] {
        rule(
            at(selector, list),
            "!self.contains('[') && !self.contains('{')",
            NO_CLASS,
            None,
        );
    }
    rule(
        at(selector, "commands[]"),
        "!self.contains('/')",
        "a command is named without its directory: this fits nothing",
        None,
    );
    rule(
        at(selector, "cgroups[]"),
        "self.startsWith('/') || self.startsWith('*') || self.startsWith('?')",
        "the path of a cgroup begins with `/`: this fits nothing",
        None,
    );
    let host = at(selector, "hostProcesses[]");
    rule(
        host,
        "!self.contains('/')",
        "write the program's name without its directory",
        None,
    );
    rule(
        host,
        "!self.contains('*') && !self.contains('?')",
        "patterns are not allowed here: name each program",
        None,
    );
}

fn labels(pods: &mut Value) {
    let labels = at(pods, "matchLabels");
    labels["maxProperties"] = json!(MOST_ENTRIES);
    labels["additionalProperties"]["maxLength"] = json!(LONGEST_LABEL_VALUE);
    let requirement = at(pods, "matchExpressions[]");
    rule(
        requirement,
        "!(self.operator in ['In', 'NotIn']) || has(self.values)",
        "In and NotIn need values",
        Some(".values"),
    );
    rule(
        requirement,
        "self.operator in ['In', 'NotIn'] || !has(self.values)",
        "Exists and DoesNotExist take no values",
        Some(".values"),
    );
    // Two requirements on one label of which one excludes the other.
    rule(
        pods,
        "!has(self.matchExpressions) || !has(self.matchLabels) || self.matchExpressions.all(e, \
         !(e.key in self.matchLabels) \
         || (e.operator == 'In' && has(e.values) && self.matchLabels[e.key] in e.values) \
         || (e.operator == 'NotIn' && has(e.values) && !(self.matchLabels[e.key] in e.values)) \
         || e.operator == 'Exists')",
        "an expression contradicts matchLabels: no pod fits both",
        Some(".matchExpressions"),
    );
    rule(
        pods,
        "!has(self.matchExpressions) || self.matchExpressions.all(a, \
         a.operator != 'In' || !has(a.values) || self.matchExpressions.all(b, b.key != a.key \
         || (b.operator == 'In' && (!has(b.values) || sets.intersects(a.values, b.values))) \
         || (b.operator == 'NotIn' && (!has(b.values) || !sets.contains(b.values, a.values))) \
         || b.operator == 'Exists'))",
        "two expressions contradict each other: no pod fits both",
        Some(".matchExpressions"),
    );
    rule(
        pods,
        "!has(self.matchExpressions) || self.matchExpressions.all(a, a.operator != 'Exists' \
         || !self.matchExpressions.exists(b, b.key == a.key && b.operator == 'DoesNotExist'))",
        "two expressions contradict each other: no pod fits both",
        Some(".matchExpressions"),
    );
}

fn threshold(threshold: &mut Value) {
    rule(
        threshold,
        "has(self.minZombies) || has(self.limitUsedPercent)",
        "it is empty: give minZombies, limitUsedPercent or both",
        None,
    );
}

fn window(window: &mut Value) {
    rule(
        window,
        "self.from != self.to",
        "it is the same as from; for the whole day write 00:00 to 24:00",
        Some(".to"),
    );
    rule(
        window,
        "self.from != '24:00'",
        "write 00:00 of the next day",
        Some(".from"),
    );
}

fn span(node: &mut Value, least: Span) {
    rule(
        node,
        &format!(
            "duration(self) >= duration('{least}') && duration(self) <= duration('{LONGEST_SPAN}')"
        ),
        &format!("it is not within {least} and {LONGEST_SPAN}"),
        None,
    );
}
