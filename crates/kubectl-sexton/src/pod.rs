//! A pod as the agent of its node knows it.

use std::fmt;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::Api;
use sexton_core::audit::Probe;

use crate::connect::Connected;
use crate::error::{Error, Right};
use crate::named::Named;
use crate::probes;

/// The kubelet knows a static pod by this, and not by the UID of its mirror in the API.
const STATIC_UID: &str = "kubernetes.io/config.hash";

/// A pod that runs somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The node that it runs on.
    pub node: String,
    /// How `sexton` on that node is told of it, or of the one container that was asked for.
    pub target: String,
    /// Its UID as the kubelet has it.
    pub uid: String,
    /// The ids of its containers, short, and their names.
    pub containers: Vec<(String, String)>,
    /// The exec probes of its containers.
    pub probes: Vec<Probe>,
}

impl Placed {
    /// Whose the ids are that the agent will speak of: it may know no names.
    pub fn legend(&self) -> String {
        let mut legend = format!("On {}: {} is pod {self}", self.node, self.uid);
        for (id, name) in &self.containers {
            legend += &format!(", {id} its container {name}");
        }
        legend + "."
    }
}

/// `shop/crawler-5d9c`.
impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Looks a pod up.
///
/// # Errors
/// It is not there, runs on no node yet, or has no such container.
pub async fn find(at: &Connected, named: &Named, container: Option<&str>) -> Result<Placed, Error> {
    let namespace = named.namespace.as_ref().unwrap_or(&at.namespace);
    let api: Api<Pod> = Api::namespaced(at.client.clone(), namespace);
    let pod = api
        .get(&named.name)
        .await
        .map_err(Right::new("get", "", "pods").failed(&at.server))?;
    placed(&pod, namespace, container)
        .map_err(|why| Error::Usage(format!("pod {}: {why}", named.name)))
}

/// By id and not by name: an agent without a runtime's socket knows no names, but the path of a
/// cgroup holds both ids.
fn placed(pod: &Pod, namespace: &str, container: Option<&str>) -> Result<Placed, String> {
    let node = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_name.clone())
        .ok_or("it runs on no node yet")?;
    let annotations = pod.metadata.annotations.as_ref();
    let uid = annotations
        .and_then(|all| all.get(STATIC_UID))
        .or(pod.metadata.uid.as_ref())
        .ok_or("it has no UID")?;
    let target = match container {
        Some(container) => format!("container/{}", container_id(pod, container)?),
        None => format!("pod/{uid}"),
    };
    let containers: Vec<(String, String)> = statuses(pod)
        .filter_map(|status| Some((id_of(status)?, &status.name)))
        .map(|(id, name)| (id.chars().take(12).collect(), name.clone()))
        .collect();
    Ok(Placed {
        probes: probes(pod, &containers),
        namespace: namespace.to_owned(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        node,
        target,
        uid: uid.clone(),
        containers,
    })
}

/// Those of containers that run, each with its container's id.
fn probes(pod: &Pod, running: &[(String, String)]) -> Vec<Probe> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let with_id = containers.filter_map(|container| {
        let (id, _) = running.iter().find(|(_, name)| *name == container.name)?;
        Some((id, container))
    });
    with_id
        .flat_map(|(id, container)| {
            probes::probes(container).map(|probe| Probe {
                container: id.clone(),
                ..probe
            })
        })
        .collect()
}

/// Of all kinds of containers.
fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let all = [
        status.and_then(|status| status.container_statuses.as_ref()),
        status.and_then(|status| status.init_container_statuses.as_ref()),
        status.and_then(|status| status.ephemeral_container_statuses.as_ref()),
    ];
    all.into_iter().flatten().flatten()
}

/// Without the runtime's name in front.
fn id_of(status: &ContainerStatus) -> Option<&str> {
    let (_, id) = status.container_id.as_deref()?.split_once("://")?;
    Some(id)
}

fn container_id<'a>(pod: &'a Pod, name: &str) -> Result<&'a str, String> {
    let found = statuses(pod).find(|status| status.name == name);
    let found = found.ok_or_else(|| {
        let names: Vec<&str> = statuses(pod).map(|status| status.name.as_str()).collect();
        format!("it has no container {name}, but {}", names.join(", "))
    })?;
    id_of(found).ok_or_else(|| format!("its container {name} does not run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: serde_json::Value) -> Pod {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_node_is_told_ids() {
        let web = pod(serde_json::json!({
            "metadata": {"name": "web", "uid": "u-1"},
            "spec": {"nodeName": "node1", "containers": []},
            "status": {"containerStatuses": [
                {"name": "app", "containerID": "containerd://3f2a", "image": "", "imageID": "",
                 "ready": true, "restartCount": 0},
                {"name": "side", "image": "", "imageID": "", "ready": false, "restartCount": 0},
            ]},
        }));
        let target = |container| placed(&web, "shop", container).map(|placed| placed.target);
        assert_eq!(
            placed(&web, "shop", None).unwrap().legend(),
            "On node1: u-1 is pod shop/web, 3f2a its container app."
        );
        assert_eq!(target(None), Ok("pod/u-1".to_owned()));
        assert_eq!(target(Some("app")), Ok("container/3f2a".to_owned()));
        assert_eq!(
            target(Some("side")),
            Err("its container side does not run".to_owned())
        );
        assert_eq!(
            target(Some("x")),
            Err("it has no container x, but app, side".to_owned())
        );
    }

    #[test]
    fn a_static_pod_has_two_uids() {
        let pod = pod(serde_json::json!({
            "metadata": {"name": "etcd", "uid": "mirror",
                         "annotations": {"kubernetes.io/config.hash": "static"}},
            "spec": {"nodeName": "node1", "containers": []},
        }));
        assert_eq!(placed(&pod, "x", None).unwrap().target, "pod/static");
    }
}
