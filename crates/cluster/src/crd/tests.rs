//! The definitions as they are; what an API server makes of them is in `tests/crd.rs`.

use super::*;
use crate::report::Status;
use serde_json::Map;
use sexton_core::policy::PolicySpec;

/// The schema of the only version of a definition.
fn schema(definition: &CustomResourceDefinition) -> Value {
    let definition = serde_json::to_value(definition).unwrap();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Calls `look` with each node below `node` and its path.
fn walk(path: &str, node: &Value, look: &mut impl FnMut(&str, &Map<String, Value>)) {
    let node = node.as_object().unwrap();
    look(path, node);
    for (name, below) in node
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        walk(&format!("{path}.{name}"), below, look);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(below) = node.get(key) {
            walk(&format!("{path}[]"), below, look);
        }
    }
}

#[test]
fn they_are_named_as_the_types_are() {
    use kube::Resource;
    let names: Vec<String> = all()
        .iter()
        .filter_map(|d| d.metadata.name.clone())
        .collect();
    let of = |plural: &str, group: &str| format!("{plural}.{group}");
    assert_eq!(
        names,
        [
            of(&ReapPolicy::plural(&()), &ReapPolicy::group(&())),
            of(&ZombieReport::plural(&()), &ZombieReport::group(&())),
        ]
    );
    assert_eq!(
        ReapPolicy::api_version(&()),
        sexton_core::policy::API_VERSION
    );
    assert_eq!(ReapPolicy::kind(&()), sexton_core::policy::KIND);
    assert_eq!(ZombieReport::kind(&()), "ZombieReport");
}

#[test]
fn every_node_is_structural_and_described() {
    for definition in all() {
        walk("", &schema(&definition), &mut |path, node| {
            assert!(node["type"].is_string(), "{path}: {node:?}");
            for key in ["oneOf", "anyOf", "allOf", "$ref", "nullable", "title"] {
                assert!(!node.contains_key(key), "{path}: {key}");
            }
            let described = node.get("description").is_some_and(Value::is_string);
            assert!(
                described || path.is_empty() || path.ends_with("[]"),
                "{path}"
            );
            if node["type"] == "array" {
                assert!(node.contains_key("x-kubernetes-list-type"), "{path}");
            }
            if let Some(format) = node.get("format").and_then(Value::as_str) {
                assert!(
                    ["int32", "int64", "double", "date-time"].contains(&format),
                    "{path}"
                );
            }
        });
    }
}

/// CEL's cost is estimated from the bounds: without one, the API server takes the worst case.
#[test]
fn nothing_in_a_policy_is_unbounded() {
    walk("", &schema(&all()[0]), &mut |path, node| {
        let bound = match node["type"].as_str().unwrap() {
            "string" if node.contains_key("enum") => return,
            "string" => "maxLength",
            "array" => "maxItems",
            "object" if node.contains_key("additionalProperties") => "maxProperties",
            _ => return,
        };
        assert!(node.contains_key(bound), "{path}: {bound}");
    });
}

#[test]
fn a_policy_is_read_as_it_was_written() {
    let policy = ReapPolicy::new("all", PolicySpec::default());
    let json = serde_json::to_value(&policy).unwrap();
    assert_eq!(json["apiVersion"], "sexton.dev/v1alpha1");
    assert_eq!(json["kind"], "ReapPolicy");
    assert_eq!(serde_json::from_value::<ReapPolicy>(json).unwrap(), policy);
    assert_eq!(policy.to_policy().name(), "all");
    let report = ZombieReport::new("node1", Some(Status::default()));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        serde_json::from_value::<ZombieReport>(json).unwrap(),
        report
    );
}

#[test]
fn a_report_of_another_version_is_there_without_its_status() {
    let mut json =
        serde_json::to_value(ZombieReport::new("node1", Some(Status::default()))).unwrap();
    json["status"]["policies"] = json!([{"name": "a", "mode": "persuade", "state": "Following"}]);
    let read: ZombieReport = serde_json::from_value(json).unwrap();
    assert_eq!(read, ZombieReport::new("node1", None));
}
