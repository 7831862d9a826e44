//! Pods, through the CRI alone.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use sexton_runtime::client::{
    self, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption,
    PodSandboxConfig, PodSandboxMetadata, RemovePodSandboxRequest, RunPodSandboxRequest,
    StopPodSandboxRequest,
};

use super::{ContainerBuilder, Containerd};
use crate::container::ids;
use crate::names;

/// What a pod is to be like.
#[derive(Clone, Debug)]
pub struct Builder {
    containerd: Containerd,
    name: String,
    namespace: String,
    labels: HashMap<String, String>,
    annotations: HashMap<String, String>,
    pid: NamespaceMode,
}

impl Builder {
    pub(super) fn new(containerd: Containerd, name: &str) -> Self {
        Self {
            containerd,
            name: name.to_owned(),
            namespace: "sexton-test".to_owned(),
            labels: HashMap::new(),
            annotations: HashMap::new(),
            pid: NamespaceMode::Container,
        }
    }

    /// `metadata.namespace`; `sexton-test` by default.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// `shareProcessNamespace: true`: all containers see each other, and `pause` is PID 1.
    #[must_use]
    pub fn share_process_namespace(mut self) -> Self {
        self.pid = NamespaceMode::Pod;
        self
    }

    /// `hostPID: true`.
    #[must_use]
    pub fn host_pid(mut self) -> Self {
        self.pid = NamespaceMode::Node;
        self
    }

    /// Starts its sandbox.
    ///
    /// # Panics
    /// When containerd fails to.
    #[must_use]
    pub fn start(self) -> Pod {
        let (_, uid) = ids(&names::unique("pod"));
        let logs = self.containerd.dir().join("logs").join(&uid);
        fs::create_dir_all(&logs).expect("the temporary directory can be written");
        // As the kubelet labels it.
        let mut labels = self.labels;
        for (key, value) in [
            ("io.kubernetes.pod.name", &self.name),
            ("io.kubernetes.pod.namespace", &self.namespace),
            ("io.kubernetes.pod.uid", &uid),
        ] {
            labels.insert(key.to_owned(), value.clone());
        }
        let top = self.containerd.pods_cgroup().path();
        let config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: self.name,
                uid: uid.clone(),
                namespace: self.namespace,
                attempt: 0,
            }),
            log_directory: logs.display().to_string(),
            labels,
            annotations: self.annotations,
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("{top}/kubepods/burstable/pod{uid}"),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces(self.pid)),
                }),
            }),
        };
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: String::new(),
        };
        let response = self.containerd.call("RunPodSandbox", async |channel| {
            client::runtime_service(channel)
                .run_pod_sandbox(request)
                .await
        });
        Pod(Arc::new(Inner {
            containerd: self.containerd,
            id: response.pod_sandbox_id,
            uid,
            config,
            pid: self.pid,
        }))
    }
}

/// In the machine's network, so that no CNI plugin is called.
fn namespaces(pid: NamespaceMode) -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: pid.into(),
        ipc: NamespaceMode::Pod.into(),
    }
}

/// A pod. Clones are the same one; with the last of them, and of its containers, it ends.
#[derive(Clone, Debug)]
pub struct Pod(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    containerd: Containerd,
    id: String,
    uid: String,
    config: PodSandboxConfig,
    pid: NamespaceMode,
}

impl Pod {
    /// The id of its sandbox, which is that of its `pause` container.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.0.uid
    }

    /// Its cgroup in the hierarchy that counts pids.
    #[must_use]
    pub fn cgroup_dir(&self) -> PathBuf {
        let top = self.0.containerd.pods_cgroup().dir();
        top.join("kubepods/burstable")
            .join(format!("pod{}", self.0.uid))
    }

    /// `pids.max` of the whole pod: the CRI has no such limit, the kubelet writes it here.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn set_pids_max(&self, max: u64) {
        let file = self.cgroup_dir().join("pids.max");
        fs::write(&file, max.to_string())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// A container to be made in it; `name` as in `spec.containers`.
    #[must_use]
    pub fn container(&self, name: &str) -> ContainerBuilder {
        ContainerBuilder::new(self.clone(), name)
    }

    pub(super) fn containerd(&self) -> &Containerd {
        &self.0.containerd
    }

    pub(super) fn config(&self) -> &PodSandboxConfig {
        &self.0.config
    }

    /// Those that its containers are in.
    pub(super) fn namespaces(&self) -> NamespaceOption {
        namespaces(self.0.pid)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // It may be killed or frozen; then all ends with its cgroup.
        let runs = self.containerd.daemon().is_some();
        if !runs || std::thread::panicking() {
            return;
        }
        let id = self.id.clone();
        let _ = self.containerd.try_call(async |channel| {
            let mut service = client::runtime_service(channel);
            let stop = StopPodSandboxRequest {
                pod_sandbox_id: id.clone(),
            };
            let mut stop = tonic::Request::new(stop);
            stop.set_timeout(super::POD_ENDS);
            service.stop_pod_sandbox(stop).await?;
            let remove = RemovePodSandboxRequest { pod_sandbox_id: id };
            service.remove_pod_sandbox(remove).await
        });
    }
}
