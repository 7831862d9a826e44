//! Containers of pods.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sexton_runtime::client::{
    self, ContainerConfig, ContainerMetadata, ContainerState, ContainerStatusRequest,
    CreateContainerRequest, ExecSyncRequest, ImageSpec, KeyValue, LinuxContainerConfig,
    LinuxContainerSecurityContext, Mount, StartContainerRequest, StopContainerRequest,
};

use super::{Containerd, Pod, image};
use crate::Program;
use crate::container::{SYSTEM_DIRS, is_real_dir};
use crate::process::{identity, patience, wait_until};

const GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
const PRE_STOP: &str = "io.kubernetes.container.preStopHandler";
const RESTARTS: &str = "io.kubernetes.container.restartCount";

fn image_spec(name: &str) -> ImageSpec {
    ImageSpec {
        image: name.to_owned(),
        user_specified_image: name.to_owned(),
    }
}

/// What a container of a pod is to be like.
#[derive(Clone, Debug)]
pub struct ContainerBuilder {
    pod: Pod,
    config: ContainerConfig,
}

impl ContainerBuilder {
    pub(super) fn new(pod: Pod, name: &str) -> Self {
        let security_context = LinuxContainerSecurityContext {
            namespace_options: Some(pod.namespaces()),
            ..LinuxContainerSecurityContext::default()
        };
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: name.to_owned(),
                attempt: 0,
            }),
            image: Some(image_spec(image::SYSTEM)),
            labels: HashMap::from([("io.kubernetes.container.name".to_owned(), name.to_owned())]),
            annotations: HashMap::from([(GRACE.to_owned(), "30".to_owned())]),
            linux: Some(LinuxContainerConfig {
                security_context: Some(security_context),
            }),
            ..ContainerConfig::default()
        };
        Self { pod, config }
    }

    /// `spec.terminationGracePeriodSeconds`; 30 by default.
    #[must_use]
    pub fn grace_seconds(mut self, seconds: u64) -> Self {
        self.config
            .annotations
            .insert(GRACE.to_owned(), seconds.to_string());
        self
    }

    /// Has a `preStop` hook, as far as the runtime is told: the kubelet would run it.
    #[must_use]
    pub fn pre_stop(mut self, command: &str) -> Self {
        let hook = serde_json::json!({"exec": {"command": ["/bin/sh", "-c", command]}});
        let annotations = &mut self.config.annotations;
        annotations.insert(PRE_STOP.to_owned(), hook.to_string());
        self
    }

    /// The image, of [`Containerd::image_with_stop_signal`].
    #[must_use]
    pub fn image(mut self, name: &str) -> Self {
        self.config.image = Some(image_spec(name));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.config.envs.push(KeyValue {
            key: key.to_owned(),
            value: value.as_bytes().to_vec(),
        });
        self
    }

    /// Sees this directory of the machine, too, at the same place, read-only.
    #[must_use]
    pub fn bind(self, dir: impl AsRef<Path>) -> Self {
        self.mount(dir.as_ref(), true)
    }

    /// As [`ContainerBuilder::bind`], and may write there.
    #[must_use]
    pub fn bind_writable(self, dir: impl AsRef<Path>) -> Self {
        self.mount(dir.as_ref(), false)
    }

    fn mount(mut self, dir: &Path, readonly: bool) -> Self {
        let dir = dir.display().to_string();
        self.config.mounts.push(Mount {
            container_path: dir.clone(),
            host_path: dir,
            readonly,
        });
        self
    }

    /// Adds a capability, `SYS_PTRACE` for instance, to what containers usually have.
    #[must_use]
    pub fn capability(mut self, name: &str) -> Self {
        let linux = self.config.linux.get_or_insert_default();
        let context = linux.security_context.get_or_insert_default();
        let capabilities = context.capabilities.get_or_insert_default();
        capabilities.add_capabilities.push(name.to_owned());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When containerd fails to.
    #[must_use]
    pub fn start(mut self, program: &Program) -> PodContainer {
        self.config.command.clone_from(&program.argv);
        let system = SYSTEM_DIRS
            .iter()
            .map(Path::new)
            .filter(|dir| is_real_dir(dir));
        let binds = program.binds.iter().map(PathBuf::as_path);
        for dir in system.chain(binds) {
            self = self.mount(dir, true);
        }
        let containerd = self.pod.containerd().clone();
        PodContainer::try_start(self.pod, self.config)
            .unwrap_or_else(|error| panic!("{error}; {}", containerd.log()))
    }
}

/// A container of a pod.
#[derive(Clone, Debug)]
pub struct PodContainer {
    pod: Pod,
    config: ContainerConfig,
    id: String,
    pid: u32,
}

/// What a program that was run inside said.
#[derive(Clone, Debug)]
pub struct Exec {
    /// Its exit status.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl PodContainer {
    fn try_start(pod: Pod, mut config: ContainerConfig) -> Result<Self, String> {
        let meta = config.metadata.clone().unwrap_or_default();
        let attempt = meta.attempt.to_string();
        config.annotations.insert(RESTARTS.to_owned(), attempt);
        config.log_path = format!("{}-{}.log", meta.name, meta.attempt);
        let containerd = pod.containerd();
        let create = CreateContainerRequest {
            pod_sandbox_id: pod.id().to_owned(),
            config: Some(config.clone()),
            sandbox_config: Some(pod.config().clone()),
        };
        let created = containerd.try_call(async |channel| {
            let mut service = client::runtime_service(channel);
            service.create_container(create).await
        });
        let id = created
            .map_err(|error| format!("CreateContainer: {error}"))?
            .container_id;
        let start = StartContainerRequest {
            container_id: id.clone(),
        };
        let started = containerd.try_call(async |channel| {
            let mut service = client::runtime_service(channel);
            service.start_container(start).await
        });
        started.map_err(|error| format!("StartContainer: {error}"))?;
        // The shim's own record, so that tests can compare what the CRI says with it.
        let file = format!("state/io.containerd.runtime.v2.task/k8s.io/{id}/init.pid");
        let file = containerd.dir().join(file);
        let pid = fs::read_to_string(&file);
        let pid = pid.map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self {
            pid: pid
                .trim()
                .parse()
                .map_err(|_| format!("{pid:?} is no pid"))?,
            pod,
            config,
            id,
        })
    }

    /// Its id, whole.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its first process, as the machine numbers it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Pid and start time of its first process; `None` when that is gone.
    #[must_use]
    pub fn identity(&self) -> Option<(u32, u64)> {
        identity(self.pid)
    }

    /// Its pod.
    #[must_use]
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    /// Its cgroup in the hierarchy that counts pids.
    #[must_use]
    pub fn cgroup_dir(&self) -> PathBuf {
        self.pod.cgroup_dir().join(&self.id)
    }

    /// containerd says that it runs.
    ///
    /// # Panics
    /// When containerd does not answer.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.try_is_running()
            .unwrap_or_else(|error| panic!("ContainerStatus: {error}"))
    }

    pub(super) fn try_is_running(&self) -> Result<bool, String> {
        let request = ContainerStatusRequest {
            container_id: self.id.clone(),
            verbose: false,
        };
        let response = self.containerd().try_call(async |channel| {
            client::runtime_service(channel)
                .container_status(request)
                .await
        })?;
        let status = response.status;
        Ok(status.is_some_and(|status| status.state() == ContainerState::ContainerRunning))
    }

    /// All that it has printed so far, on both streams.
    #[must_use]
    pub fn output(&self) -> String {
        let file = Path::new(&self.pod.config().log_directory).join(&self.config.log_path);
        let log = fs::read(file).unwrap_or_default();
        // `TIME STREAM TAG TEXT`; the tag is F for whole lines, P for a part of one.
        let mut output = String::new();
        for line in String::from_utf8_lossy(&log).lines() {
            let mut fields = line.splitn(4, ' ').skip(2);
            let (tag, text) = (fields.next(), fields.next());
            output.push_str(text.unwrap_or_default());
            if tag != Some("P") {
                output.push('\n');
            }
        }
        output
    }

    /// Waits until it has printed a line that `matches`, after the first `skip` bytes of its
    /// output, and gives the line.
    ///
    /// # Panics
    /// When that takes longer than [`patience`].
    pub fn wait_for_line(&self, skip: usize, matches: impl Fn(&str) -> bool) -> String {
        let start = std::time::Instant::now();
        loop {
            let output = self.output();
            let new = output.get(skip..).unwrap_or_default();
            if let Some(line) = new.lines().find(|line| matches(line)) {
                return line.to_owned();
            }
            assert!(
                start.elapsed() < patience(),
                "no such line; it printed: {output}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs a program inside, as a probe of the kubelet or `kubectl exec` would; it is killed
    /// after `limit`, as a probe is after its `timeoutSeconds`. What it started is not, and while
    /// any of that holds its output open containerd waits on: redirect it.
    ///
    /// # Errors
    /// What containerd says, where it could not be run or did not end in time.
    pub fn try_exec(&self, argv: &[&str], limit: Duration) -> Result<Exec, String> {
        let request = ExecSyncRequest {
            container_id: self.id.clone(),
            cmd: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            timeout: i64::try_from(limit.as_secs().max(1)).unwrap_or(i64::MAX),
        };
        let response = self
            .containerd()
            .try_call(async |channel| client::runtime_service(channel).exec_sync(request).await)?;
        Ok(Exec {
            status: response.exit_code,
            stdout: String::from_utf8_lossy(&response.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&response.stderr).into_owned(),
        })
    }

    /// Runs a program inside, to its end.
    ///
    /// # Panics
    /// When containerd cannot run it.
    #[must_use]
    pub fn exec(&self, argv: &[&str]) -> Exec {
        self.try_exec(argv, patience())
            .unwrap_or_else(|error| panic!("{argv:?}: {error}"))
    }

    /// Ends it, by the CRI.
    ///
    /// # Panics
    /// When containerd fails to.
    pub fn stop(&self, grace: Duration) {
        let request = StopContainerRequest {
            container_id: self.id.clone(),
            timeout: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX),
        };
        self.containerd().call("StopContainer", async |channel| {
            client::runtime_service(channel)
                .stop_container(request)
                .await
        });
    }

    /// What the kubelet does by `restartPolicy: Always`: waits until it has ended, and starts
    /// the same again as a new container.
    ///
    /// # Panics
    /// When it does not end, or containerd fails.
    #[must_use]
    pub fn start_again(&self) -> Self {
        wait_until("the container has ended", || {
            (!self.is_running()).then_some(())
        });
        self.try_start_again()
            .unwrap_or_else(|error| panic!("{error}; {}", self.containerd().log()))
    }

    pub(super) fn try_start_again(&self) -> Result<Self, String> {
        let mut config = self.config.clone();
        config.metadata.get_or_insert_default().attempt += 1;
        Self::try_start(self.pod.clone(), config)
    }

    fn containerd(&self) -> &Containerd {
        self.pod.containerd()
    }
}
