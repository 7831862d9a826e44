//! Why a DaemonSet has no pod on a node: as its controller decides.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};

const ARCHITECTURE: &str = "kubernetes.io/arch";
const NAME: &str = "metadata.name";
/// What every pod of a DaemonSet tolerates, whatever its template says.
const ALWAYS_TOLERATED: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
];

/// Why none of them has a pod there; nothing where one ought to have.
pub(super) fn keeps_out(sets: &[DaemonSet], node: &Node) -> Option<String> {
    let mut why = None;
    for set in sets {
        why = Some(one(set, node)?);
    }
    why
}

fn one(set: &DaemonSet, node: &Node) -> Option<String> {
    let pod = set.spec.as_ref()?.template.spec.as_ref()?;
    let empty = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    selector(pod, labels)
        .or_else(|| affinity(pod, node, labels))
        .or_else(|| taint(pod, node))
}

fn selector(pod: &PodSpec, labels: &BTreeMap<String, String>) -> Option<String> {
    let mut asked = pod.node_selector.iter().flatten();
    let (key, value) = asked.find(|(key, value)| labels.get(*key) != Some(*value))?;
    Some(match (key.as_str(), labels.get(key)) {
        (ARCHITECTURE, Some(here)) => {
            format!("their architecture {here} is not covered: the agent's image is for {value}")
        }
        (_, Some(here)) => {
            format!("the nodeSelector asks for {key}={value}, and they have {key}={here}")
        }
        (_, None) => {
            format!("the nodeSelector asks for {key}={value}, and they have no such label")
        }
    })
}

fn affinity(pod: &PodSpec, node: &Node, labels: &BTreeMap<String, String>) -> Option<String> {
    let required = required(pod)?;
    let admitted = required.iter().any(|term| meets(term, node, labels));
    (!admitted).then(|| "the node affinity of the DaemonSet does not admit them".to_owned())
}

fn required(pod: &PodSpec) -> Option<&Vec<NodeSelectorTerm>> {
    let affinity = pod.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = &affinity.required_during_scheduling_ignored_during_execution;
    Some(&required.as_ref()?.node_selector_terms)
}

/// The node that a pod of a DaemonSet waits for: its controller writes the name there.
pub(super) fn meant_for(pod: &PodSpec) -> Option<&String> {
    let fields = required(pod)?.iter().flat_map(|term| &term.match_fields);
    let mut names = fields.flatten().filter(|field| field.key == NAME);
    names.next()?.values.as_ref()?.first()
}

/// A term that asks for nothing meets nothing.
fn meets(term: &NodeSelectorTerm, node: &Node, labels: &BTreeMap<String, String>) -> bool {
    let labelled = term.match_expressions.iter().flatten();
    let named = term.match_fields.iter().flatten();
    let name = node.metadata.name.as_ref();
    let mut asked = false;
    let mut all = labelled
        .map(|asks| (asks, labels.get(&asks.key)))
        .chain(named.map(|asks| (asks, name.filter(|_| asks.key == NAME))))
        .inspect(|_| asked = true);
    let met = all.all(|(asks, value)| is_met(asks, value));
    drop(all);
    asked && met
}

fn is_met(asks: &NodeSelectorRequirement, value: Option<&String>) -> bool {
    let values = asks.values.as_deref().unwrap_or_default();
    let is_one = value.is_some_and(|value| values.contains(value));
    let number = |text: Option<&String>| text?.parse::<i64>().ok();
    let both = number(value).zip(number(values.first()));
    match asks.operator.as_str() {
        "In" => is_one,
        "NotIn" => !is_one,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => both.is_some_and(|(value, bound)| value > bound),
        "Lt" => both.is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

fn taint(pod: &PodSpec, node: &Node) -> Option<String> {
    let tolerations = pod.tolerations.as_deref().unwrap_or_default();
    let mut taints = node.spec.as_ref()?.taints.iter().flatten();
    let taint = taints.find(|taint| {
        taint.effect != "PreferNoSchedule"
            && !ALWAYS_TOLERATED.contains(&taint.key.as_str())
            && !tolerations.iter().any(|one| tolerates(one, taint))
    })?;
    let Taint { key, effect, .. } = taint;
    let value = taint.value.as_deref().filter(|value| !value.is_empty());
    let value = value.map_or(String::new(), |value| format!("={value}"));
    Some(format!(
        "the DaemonSet does not tolerate their taint {key}{value}:{effect}"
    ))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    let exists = toleration.operator.as_deref() == Some("Exists");
    (effect.is_empty() || effect == taint.effect)
        && ((key.is_empty() && exists) || key == taint.key)
        && (exists || text(&toleration.value) == text(&taint.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn set(pod: Value) -> DaemonSet {
        let mut spec = json!({"containers": []});
        for (key, value) in pod.as_object().unwrap() {
            spec[key] = value.clone();
        }
        serde_json::from_value(json!({"spec": {"selector": {}, "template": {"spec": spec}}}))
            .unwrap()
    }

    fn node(labels: Value, taints: Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n1", "labels": labels},
            "spec": {"taints": taints}}))
        .unwrap()
    }

    fn why(pod: Value, labels: Value, taints: Value) -> Option<String> {
        keeps_out(&[set(pod)], &node(labels, taints))
    }

    #[test]
    fn architecture_and_labels() {
        let amd64 = || json!({"nodeSelector": {ARCHITECTURE: "amd64"}});
        assert_eq!(
            why(amd64(), json!({ARCHITECTURE: "amd64"}), json!([])),
            None
        );
        let told = why(amd64(), json!({ARCHITECTURE: "arm64"}), json!([])).unwrap();
        assert!(told.contains("arm64 is not covered"), "{told}");
        let told = why(amd64(), json!({}), json!([])).unwrap();
        assert!(told.contains("no such label"), "{told}");
        let pool = json!({"nodeSelector": {"pool": "a"}});
        let told = why(pool, json!({"pool": "b"}), json!([])).unwrap();
        assert!(told.contains("pool=a, and they have pool=b"), "{told}");
    }

    #[test]
    fn taints() {
        let taint = |effect: &str| json!([{"key": "gpu", "value": "yes", "effect": effect}]);
        let tolerating = |one: Value| json!({"tolerations": [one]});
        let told = why(json!({}), json!({}), taint("NoSchedule")).unwrap();
        assert!(told.ends_with("taint gpu=yes:NoSchedule"), "{told}");
        assert_eq!(why(json!({}), json!({}), taint("PreferNoSchedule")), None);
        for (toleration, tolerated) in [
            (json!({"operator": "Exists"}), true),
            (json!({"key": "gpu", "operator": "Exists"}), true),
            (json!({"key": "gpu", "value": "yes"}), true),
            (json!({"key": "gpu", "value": "no"}), false),
            (
                json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}),
                false,
            ),
            (json!({"key": "other", "operator": "Exists"}), false),
        ] {
            let told = why(
                tolerating(toleration.clone()),
                json!({}),
                taint("NoSchedule"),
            );
            assert_eq!(told.is_none(), tolerated, "{toleration}");
        }
        let cordoned = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
        assert_eq!(why(json!({}), json!({}), cordoned), None);
    }

    #[test]
    fn affinity_and_several_sets() {
        let asks = |key: &str, operator: &str, values: Value| {
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": [{"matchExpressions":
                    [{"key": key, "operator": operator, "values": values}]}]}}}})
        };
        let labels = json!({"pool": "a", "cores": "8"});
        for (pod, admitted) in [
            (asks("pool", "In", json!(["a", "b"])), true),
            (asks("pool", "NotIn", json!(["a"])), false),
            (asks("gpu", "NotIn", json!(["a"])), true),
            (asks("gpu", "Exists", json!([])), false),
            (asks("gpu", "DoesNotExist", json!([])), true),
            (asks("cores", "Gt", json!(["4"])), true),
            (asks("cores", "Lt", json!(["4"])), false),
        ] {
            let told = why(pod.clone(), labels.clone(), json!([]));
            assert_eq!(told.is_none(), admitted, "{pod}");
        }
        // One that covers it is enough.
        let sets = [json!({"nodeSelector": {"pool": "b"}}), json!({})].map(set);
        assert_eq!(keeps_out(&sets, &node(labels, json!([]))), None);
    }
}
