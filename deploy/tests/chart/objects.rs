//! Objects, against the types of the Kubernetes API.

use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, coordination::v1 as coordination,
    core::v1 as core, networking::v1 as networking, rbac::v1 as rbac,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One object, as it was written.
#[derive(Debug)]
pub(crate) struct Object(pub(crate) Value);

/// Those of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Object], kind: &str) -> impl Iterator<Item = &'a Object> {
    objects
        .iter()
        .filter(move |object| object.0["kind"] == kind)
}

/// The first of a kind.
pub(crate) fn the<'a>(objects: &'a [Object], kind: &str) -> &'a Object {
    of_kind(objects, kind)
        .next()
        .unwrap_or_else(|| panic!("no {kind}"))
}

impl Object {
    /// Paths of fields that the API does not have. What a type does not know it drops in
    /// reading, so what has gone after reading and writing is unknown.
    pub(crate) fn unknown_fields(&self) -> Vec<String> {
        let kind = self.0["kind"].as_str().unwrap_or_default();
        match kind {
            "ServiceAccount" => self.lost::<core::ServiceAccount>(),
            "ConfigMap" => self.lost::<core::ConfigMap>(),
            "ResourceQuota" => self.lost::<core::ResourceQuota>(),
            "Namespace" => self.lost::<core::Namespace>(),
            "DaemonSet" => self.lost::<apps::DaemonSet>(),
            "ClusterRole" => self.lost::<rbac::ClusterRole>(),
            "ClusterRoleBinding" => self.lost::<rbac::ClusterRoleBinding>(),
            "Role" => self.lost::<rbac::Role>(),
            "RoleBinding" => self.lost::<rbac::RoleBinding>(),
            "Service" => self.lost::<core::Service>(),
            "Lease" => self.lost::<coordination::Lease>(),
            "NetworkPolicy" => self.lost::<networking::NetworkPolicy>(),
            "ValidatingAdmissionPolicy" => self.lost::<admission::ValidatingAdmissionPolicy>(),
            "ValidatingAdmissionPolicyBinding" => {
                self.lost::<admission::ValidatingAdmissionPolicyBinding>()
            }
            "CustomResourceDefinition" => self.lost::<apiextensions::CustomResourceDefinition>(),
            // Not Kubernetes' own: the first is tested with its CRD, the others are off by default.
            "ReapPolicy" | "PodMonitor" | "PrometheusRule" => vec![],
            kind => panic!("{kind} is not tested"),
        }
    }

    fn lost<T: DeserializeOwned + Serialize>(&self) -> Vec<String> {
        let read: T = serde_json::from_value(self.0.clone()).unwrap();
        let mut lost = Vec::new();
        compare(&self.0, &serde_json::to_value(read).unwrap(), "", &mut lost);
        lost
    }
}

fn compare(written: &Value, read: &Value, path: &str, lost: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                let path = format!("{path}.{key}");
                match read.get(key) {
                    Some(read) => compare(value, read, &path, lost),
                    None if value.is_null() => {}
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
            for (index, (written, read)) in written.iter().zip(read).enumerate() {
                compare(written, read, &format!("{path}[{index}]"), lost);
            }
        }
        (written, read) if written == read => {}
        // A number may be written as a float.
        (Value::Number(written), Value::Number(read)) if written.as_f64() == read.as_f64() => {}
        (written, read) => lost.push(format!("{path}: {written} became {read}")),
    }
}
