//! An event as the API server takes it.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use serde_json::{Value, json};

use super::{About, Event, Reason};

/// Who tells all of them.
const CONTROLLER: &str = "sexton.dev/agent";
/// Events on what has no namespace are kept there, as the kubelet does.
const DEFAULT_NAMESPACE: &str = "default";
/// Bytes of a note that the API server takes.
const LONGEST_NOTE: usize = 1_024;
/// Bytes of `reportingInstance` that it takes.
const LONGEST_INSTANCE: usize = 128;
/// Bytes of the object's name that go into the event's: 253 in all.
const LONGEST_NAME: usize = 236;

/// The node that tells.
pub(super) struct Identity {
    node: String,
    told: u64,
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub namespace: String,
    pub kind: String,
    pub api_version: Option<String>,
    pub name: String,
    pub uid: Option<String>,
    pub reason: Reason,
}

impl Identity {
    pub(super) fn of(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            told: 0,
        }
    }

    /// On which objects `event` is told, and what.
    pub(super) fn keys(&self, event: &Event) -> Vec<(Key, String)> {
        let reason = event.reason;
        let note = note(event);
        let all = match &event.about {
            About::Node => vec![(
                Key {
                    namespace: DEFAULT_NAMESPACE.to_owned(),
                    kind: "Node".to_owned(),
                    api_version: Some("v1".to_owned()),
                    name: self.node.clone(),
                    // Not its uid, but what the kubelet writes in its place, and `kubectl
                    // describe node` looks for.
                    uid: Some(self.node.clone()),
                    reason,
                },
                note,
            )],
            About::Pod { pod, owner } => {
                let (Some(namespace), Some(name)) = (&pod.namespace, &pod.name) else {
                    return vec![];
                };
                let of_pod = Key {
                    namespace: namespace.clone(),
                    kind: "Pod".to_owned(),
                    api_version: Some("v1".to_owned()),
                    name: name.clone(),
                    uid: pod.uid.clone(),
                    reason,
                };
                let of_owner = owner.as_ref().map(|owner| {
                    let key = Key {
                        namespace: namespace.clone(),
                        kind: owner.kind.clone(),
                        api_version: owner.api_version.clone(),
                        name: owner.name.clone(),
                        // Known of what owns the pod itself alone. That of a ReplicaSet on an
                        // event of its Deployment would point nowhere; without one, `kubectl
                        // events --for deployment/NAME` finds it by its name.
                        uid: owner.uid.clone(),
                        reason,
                    };
                    (key, format!("Pod {name}: {note}"))
                });
                std::iter::once((of_pod, note)).chain(of_owner).collect()
            }
        };
        all.into_iter()
            .map(|(key, note)| (key, cut(note)))
            .collect()
    }

    /// The first event of a series, under a name that nobody else gives.
    pub(super) fn object(&mut self, key: &Key, note: &str, first: Timestamp) -> Object {
        let Key {
            namespace,
            kind,
            api_version,
            name,
            uid,
            reason,
        } = key;
        self.told += 1;
        let mut digest = DefaultHasher::new();
        (&self.node, key, self.told, first.as_nanosecond()).hash(&mut digest);
        let short = at_most(name, LONGEST_NAME).trim_end_matches(['.', '-']);
        let object_name = format!("{short}.{:016x}", digest.finish());
        Object {
            metadata: ObjectMeta {
                name: Some(object_name),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            action: Some(reason.action().to_owned()),
            event_time: Some(MicroTime(first)),
            note: Some(note.to_owned()),
            reason: Some(reason.to_string()),
            regarding: Some(ObjectReference {
                api_version: api_version.clone(),
                kind: Some(kind.clone()),
                name: Some(name.clone()),
                namespace: (kind != "Node").then(|| namespace.clone()),
                uid: uid.clone(),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(at_most(&self.node, LONGEST_INSTANCE).to_owned()),
            type_: Some(
                if reason.is_warning() {
                    "Warning"
                } else {
                    "Normal"
                }
                .to_owned(),
            ),
            ..Object::default()
        }
    }
}

/// That it has happened `count` times by now: a merge patch.
pub(super) fn series(count: i32, last: Timestamp) -> Value {
    json!({"series": {"count": count, "lastObservedTime": MicroTime(last)}})
}

fn note(event: &Event) -> String {
    if event.reason.is_dry_run() {
        return format!("Dry run: {}", event.message);
    }
    event.message.clone()
}

fn cut(note: String) -> String {
    const MORE: &str = "…";
    if note.len() <= LONGEST_NOTE {
        return note;
    }
    format!("{}{MORE}", at_most(&note, LONGEST_NOTE - MORE.len()))
}

fn at_most(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
