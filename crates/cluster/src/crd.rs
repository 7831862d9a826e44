//! The custom resources: `ReapPolicy` and `ZombieReport`.
//!
//! The API server does what a controller and a webhook would do elsewhere: it checks policies by
//! the CEL rules that are written here into their schema, so that a policy it takes is one that
//! `sexton policy check` finds nothing wrong with. What it cannot see is two policies of the same
//! selector; each node says in its report that it refuses the later of the two. Fields that it
//! does not know it drops without a word, unless it is asked for strict validation, as kubectl
//! does by default.

mod policy;
mod report;
mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

pub use policy::ReapPolicy;
pub use report::ZombieReport;

/// API group of both.
pub const GROUP: &str = "sexton.dev";
/// Version of both.
pub const VERSION: &str = "v1alpha1";
/// By this name `kubectl get sexton` shows both.
const CATEGORY: &str = "sexton";

/// The definitions of all custom resources, as `kubectl apply` takes them.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![policy::definition(), report::definition()]
}

/// What is particular to one resource.
struct Definition {
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    columns: Vec<Value>,
    /// It has a `status` that is written by itself.
    status: bool,
    schema: Value,
}

impl Definition {
    fn build(self) -> CustomResourceDefinition {
        let Self {
            kind,
            plural,
            short,
            columns,
            status,
            schema,
        } = self;
        let subresources = if status {
            json!({"status": {}})
        } else {
            json!({})
        };
        let definition = json!({
            "metadata": {
                "name": format!("{plural}.{GROUP}"),
                // By which the chart sees that the cluster has those of another version.
                "annotations": {"sexton.dev/version": env!("CARGO_PKG_VERSION")},
            },
            "spec": {
                "group": GROUP,
                "scope": "Cluster",
                "names": {
                    "kind": kind,
                    "listKind": format!("{kind}List"),
                    "plural": plural,
                    "singular": kind.to_lowercase(),
                    "shortNames": [short],
                    "categories": [CATEGORY],
                },
                "versions": [{
                    "name": VERSION,
                    "served": true,
                    "storage": true,
                    "subresources": subresources,
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }],
            },
        });
        serde_json::from_value(definition)
            .expect("it is put together from literals alone, and a test does so")
    }
}

/// A column of `kubectl get`; of the wide form alone where `priority` is not 0.
fn column(name: &str, of: &str, path: &str, priority: u8, about: &str) -> Value {
    json!({
        "name": name,
        "type": of,
        "jsonPath": path,
        "priority": priority,
        "description": about,
    })
}

/// Implements [`kube::Resource`] for a cluster-scoped type with `metadata`.
macro_rules! resource {
    ($type:ident, $plural:expr) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = k8s_openapi::ClusterResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($type).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                crate::crd::GROUP.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                crate::crd::VERSION.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
use resource;

#[cfg(test)]
mod tests;
