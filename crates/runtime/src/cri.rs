//! containerd, CRI-O and cri-dockerd, through the Container Runtime Interface.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sexton_core::{Pod, RestartPolicy, Workload};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::client::{
    self, Container, ContainerFilter, ContainerState, ContainerStateValue, ContainerStatusRequest,
    ImageSpec, ImageStatusRequest, ListContainersRequest, ListPodSandboxRequest, PodSandbox,
    StopContainerRequest,
};
use crate::files::is_whole_id;
use crate::pending::{executor, left};
use crate::{DEADLINE, Error, PATIENCE, Pending, Runtime, Then, signal};

/// What the kubelet notes on a container: `pkg/kubelet/kuberuntime/labels.go`.
const GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
const RESTARTS: &str = "io.kubernetes.container.restartCount";
const PRE_STOP: &str = "io.kubernetes.container.preStopHandler";
/// And among the labels of a pod, beside the pod's own.
const KUBELETS_LABELS: [&str; 3] = [
    "io.kubernetes.pod.name",
    "io.kubernetes.pod.namespace",
    "io.kubernetes.pod.uid",
];
/// Labels that ReplicaSet, and DaemonSet and StatefulSet, put on their pods. The API server
/// takes no template from them whose restart policy is not `Always`
/// (`pkg/apis/apps/validation`), and the policy itself is not part of the CRI.
const ALWAYS_RESTARTED: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];

/// A runtime behind a socket that speaks CRI v1.
///
/// A look at all containers is two calls; one that was not seen before costs one more, and an
/// image that was not seen before another.
#[derive(Debug)]
pub struct Cri {
    name: String,
    socket: PathBuf,
    deadline: Duration,
    /// What does not change while a container runs, by its id.
    details: HashMap<String, Details>,
    /// Stop signals of images, by what a container's status says of its image.
    stop_signals: HashMap<String, Option<String>>,
}

/// What only `ContainerStatus` says.
#[derive(Clone, Debug)]
struct Details {
    pid: Option<u32>,
    image: Option<String>,
    stop_signal: Option<String>,
}

impl Cri {
    /// The one that listens on this socket, or will.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        let name = socket.file_stem().unwrap_or(socket.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            socket,
            deadline: DEADLINE,
            details: HashMap::new(),
            stop_signals: HashMap::new(),
        }
    }

    /// Gives it this long for a look at all containers, or at one.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    async fn list(&mut self) -> Result<Vec<Workload>, Error> {
        let end = Instant::now() + self.deadline;
        let socket = self.socket.clone();
        let call = Call { socket: &socket };
        let (channel, containers, pods) = call
            .within("the list of containers", self.deadline, async {
                let channel = call.connect().await?;
                let mut service = client::runtime_service(channel.clone());
                // In this order, so that the pod of every container is in the second list.
                let containers = service.list_containers(running()).await;
                let containers = containers.map_err(|status| call.failed("ListContainers", status));
                let containers = containers?.into_inner().containers;
                let pods = service
                    .list_pod_sandbox(ListPodSandboxRequest::default())
                    .await;
                let pods = pods.map_err(|status| call.failed("ListPodSandbox", status))?;
                Ok((channel, containers, pods.into_inner().items))
            })
            .await?;

        let ids: HashSet<&str> = containers.iter().map(|c| c.id.as_str()).collect();
        self.details.retain(|id, _| ids.contains(id.as_str()));
        for container in &containers {
            if self.details.contains_key(&container.id) {
                continue;
            }
            // The lists are worth having without this: what fails is tried again next time.
            let details = self.details_of(&channel, &container.id);
            match tokio::time::timeout(left(end), details).await {
                Ok(Ok(Some(details))) => {
                    self.details.insert(container.id.clone(), details);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }

        let pods: HashMap<&str, &PodSandbox> = pods.iter().map(|p| (p.id.as_str(), p)).collect();
        let workloads = containers.iter().map(|container| {
            let pod = pods.get(container.pod_sandbox_id.as_str()).copied();
            workload(container, pod, self.details.get(&container.id))
        });
        Ok(workloads.collect())
    }

    /// `None` where it does not run (any more), so that nothing of it is to be remembered.
    async fn details_of(&mut self, channel: &Channel, id: &str) -> Result<Option<Details>, Error> {
        let request = ContainerStatusRequest {
            container_id: id.to_owned(),
            // Its pid is in what containerd and CRI-O add for debugging, and nowhere else.
            verbose: true,
        };
        let response = client::runtime_service(channel.clone())
            .container_status(request)
            .await;
        let response = match response {
            Ok(response) => response.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(self.call().failed("ContainerStatus", status)),
        };
        let Some(status) = response.status else {
            return Ok(None);
        };
        if status.state() != ContainerState::ContainerRunning {
            return Ok(None);
        }
        let stop_signal = match signal::of_cri(status.stop_signal()) {
            Some(name) => Some(name),
            None => {
                self.stop_signal_of_image(channel, &status.image_ref)
                    .await?
            }
        };
        Ok(Some(Details {
            pid: info::<ContainerInfo>(&response.info).and_then(|info| info.pid),
            image: status.image.as_ref().and_then(name_of_image),
            stop_signal,
        }))
    }

    /// The image's own, else SIGTERM: what a runtime sends when nobody says otherwise.
    async fn stop_signal_of_image(
        &mut self,
        channel: &Channel,
        image: &str,
    ) -> Result<Option<String>, Error> {
        if let Some(known) = self.stop_signals.get(image) {
            return Ok(known.clone());
        }
        let request = ImageStatusRequest {
            image: Some(ImageSpec {
                image: image.to_owned(),
                ..ImageSpec::default()
            }),
            verbose: true,
        };
        let response = client::image_service(channel.clone())
            .image_status(request)
            .await;
        let response = response.map_err(|status| self.call().failed("ImageStatus", status))?;
        let response = response.into_inner();
        // An image may have been removed from under its containers.
        let found = info::<ImageInfo>(&response.info)
            .map(|info| info.stop_signal().unwrap_or_else(|| "SIGTERM".to_owned()));
        self.stop_signals.insert(image.to_owned(), found.clone());
        Ok(found)
    }

    fn call(&self) -> Call<'_> {
        Call {
            socket: &self.socket,
        }
    }
}

impl Runtime for Cri {
    fn name(&self) -> &str {
        &self.name
    }

    fn workloads(&mut self) -> Result<Vec<Workload>, Error> {
        let executor = executor().map_err(|error| Error::io(&self.socket, error))?;
        executor.block_on(self.list())
    }

    fn end(&mut self, id: &str, grace: Duration, _then: Then) -> Result<Pending, Error> {
        let executor = executor().map_err(|error| Error::io(&self.socket, error))?;
        let socket = self.socket.clone();
        let request = StopContainerRequest {
            container_id: id.to_owned(),
            // Whole seconds; less than asked for would be less than promised.
            timeout: i64::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i64::MAX),
        };
        let channel = executor.block_on(async {
            let call = self.call();
            // containerd takes the beginning of an id for the whole.
            if !is_whole_id(id) {
                return Err(call.refused("StopContainer", format!("{id:?} is not a whole id")));
            }
            call.within("a connection", self.deadline, call.connect())
                .await
        })?;
        let stop = async move {
            let call = Call { socket: &socket };
            let limit = grace.saturating_add(PATIENCE);
            call.within("StopContainer", limit, async {
                match client::runtime_service(channel)
                    .stop_container(request)
                    .await
                {
                    Ok(_) => Ok(()),
                    Err(status) if status.code() == Code::NotFound => Ok(()),
                    Err(status) => Err(call.failed("StopContainer", status)),
                }
            })
            .await
        };
        Ok(Pending::new(executor, stop))
    }
}

/// Calls through one socket.
#[derive(Clone, Copy)]
struct Call<'a> {
    socket: &'a Path,
}

impl Call<'_> {
    async fn connect(self) -> Result<Channel, Error> {
        let connected = client::connect(self.socket).await;
        connected.map_err(|error| Error::away(self.socket, cause(error)))
    }

    async fn within<T>(
        self,
        call: &'static str,
        limit: Duration,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = tokio::time::timeout(limit, future).await;
        result.unwrap_or_else(|_| {
            Err(Error::TimedOut {
                path: self.socket.to_owned(),
                call,
                after: limit,
            })
        })
    }

    fn failed(self, call: &'static str, status: Status) -> Error {
        // A status that was sent has no source; one that tonic made up for a broken connection
        // has it.
        if status.source().is_some() || status.code() == Code::Unavailable {
            return Error::away(self.socket, cause(status));
        }
        if status.code() == Code::Unimplemented {
            return Error::NoCri {
                path: self.socket.to_owned(),
            };
        }
        self.refused(call, format!("{}: {}", status.code(), status.message()))
    }

    fn refused(self, call: &'static str, message: String) -> Error {
        Error::Refused {
            path: self.socket.to_owned(),
            call,
            message,
        }
    }
}

/// The innermost error says what happened; those around it only that something did.
fn cause(error: impl std::error::Error) -> String {
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn running() -> ListContainersRequest {
    let state = ContainerStateValue {
        state: ContainerState::ContainerRunning.into(),
    };
    ListContainersRequest {
        filter: Some(ContainerFilter { state: Some(state) }),
    }
}

fn workload(
    container: &Container,
    pod: Option<&PodSandbox>,
    details: Option<&Details>,
) -> Workload {
    let name = container.metadata.as_ref().map(|meta| meta.name.clone());
    let number = |key| container.annotations.get(key)?.parse().ok();
    let mut labels: BTreeMap<String, String> = pod
        .map(|pod| pod.labels.clone().into_iter().collect())
        .unwrap_or_default();
    for label in KUBELETS_LABELS {
        labels.remove(label);
    }
    let always = ALWAYS_RESTARTED
        .iter()
        .any(|label| labels.contains_key(*label));
    Workload {
        id: container.id.clone(),
        name: name.filter(|name| !name.is_empty()),
        image: details
            .and_then(|details| details.image.clone())
            .or_else(|| container.image.as_ref().and_then(name_of_image)),
        pod: pod.and_then(|pod| pod.metadata.as_ref()).map(|meta| Pod {
            uid: Some(meta.uid.clone()),
            name: Some(meta.name.clone()),
            namespace: Some(meta.namespace.clone()),
        }),
        labels,
        annotations: pod
            .map(|pod| pod.annotations.clone().into_iter().collect())
            .unwrap_or_default(),
        pid: details.and_then(|details| details.pid),
        stop_signal: details.and_then(|details| details.stop_signal.clone()),
        grace_seconds: number(GRACE),
        pre_stop: container.annotations.contains_key(PRE_STOP),
        pre_stop_handler: container.annotations.get(PRE_STOP).cloned(),
        restart: if always {
            RestartPolicy::Always
        } else {
            RestartPolicy::Unknown
        },
        restarts: number(RESTARTS).and_then(|count| u32::try_from(count).ok()),
        ..Workload::default()
    }
}

/// As the user wrote it, where that is known. The kubelet itself asks for images by digest.
fn name_of_image(image: &ImageSpec) -> Option<String> {
    [&image.user_specified_image, &image.image]
        .into_iter()
        .find(|name| !name.is_empty())
        .cloned()
}

/// The JSON that containerd and CRI-O put under `info` when asked to be verbose.
fn info<T: for<'a> Deserialize<'a>>(info: &std::collections::HashMap<String, String>) -> Option<T> {
    serde_json::from_str(info.get("info")?).ok()
}

#[derive(Deserialize)]
struct ContainerInfo {
    pid: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageInfo {
    image_spec: Option<OciImage>,
}

impl ImageInfo {
    fn stop_signal(self) -> Option<String> {
        signal::named(&self.image_spec?.config?.stop_signal?)
    }
}

/// `config.md` of the OCI image specification.
#[derive(Deserialize)]
struct OciImage {
    config: Option<OciImageConfig>,
}

#[derive(Deserialize)]
struct OciImageConfig {
    #[serde(rename = "StopSignal")]
    stop_signal: Option<String>,
}
