//! Real containers by runc and crun, with the machine's own /usr as their root file system.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::cgroup::joined;
use crate::hierarchies::{Hierarchies, remove_everywhere};
use crate::program::{Program, find};
use crate::skip::{Skip, require, require_root};
use crate::sweep::sweep;
use crate::{names, process};

/// A low-level container runtime that works on this machine.
#[derive(Clone, Debug)]
pub struct Runtime {
    path: PathBuf,
    hierarchies: Hierarchies,
}

impl Runtime {
    /// Each of runc and crun that works here; [`require`] tells of those that do not.
    #[must_use]
    pub fn all() -> Vec<Self> {
        ["runc", "crun"]
            .into_iter()
            .filter_map(|name| require(Self::find(name)))
            .collect()
    }

    /// The first that works here, for tests to which the runtime does not matter.
    ///
    /// # Errors
    /// [`Skip`] where none does.
    pub fn any() -> Result<Self, Skip> {
        Self::find("runc").or_else(|_| Self::find("crun"))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(OsStr::to_str).unwrap_or("?")
    }

    /// `runc` or `crun`, after a trial run of `true`.
    ///
    /// # Errors
    /// [`Skip`] where it is not installed, or cannot make a container here.
    pub fn find(name: &str) -> Result<Self, Skip> {
        require_root()?;
        let hierarchies = Hierarchies::find()?;
        let Some(path) = find(name) else {
            return Skip::because(format!("{name} is not installed"));
        };
        sweep();
        let runtime = Self { path, hierarchies };
        let trial = Container::builder(&runtime).try_start(&Program::system(["/bin/true"]));
        match trial {
            Ok(_) => Ok(runtime),
            Err(message) => {
                Skip::because(format!("{name} cannot make a container here: {message}"))
            }
        }
    }

    fn command(&self, state: &Path) -> Command {
        let mut command = self.own_view_of_cgroups();
        command.arg("--root").arg(state);
        command
    }

    /// crun refuses a hybrid machine whose unified hierarchy has any controller, even one that
    /// nobody uses (hugetlb, when v1 leaves it out). It is shown an empty list of them, in a
    /// mount namespace of its own; the cgroups it makes are the real ones.
    fn own_view_of_cgroups(&self) -> Command {
        let list = self.hierarchies.unified.as_ref();
        let list = list.map(|unified| unified.join("cgroup.controllers"));
        let hides = self.path.ends_with("crun")
            && !self.hierarchies.is_v2()
            && list
                .as_ref()
                .and_then(|list| fs::read_to_string(list).ok())
                .is_some_and(|list| !list.trim().is_empty());
        let (true, Some(list)) = (hides, list) else {
            return Command::new(&self.path);
        };
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "/bin/sh", "-c"])
            .arg(r#"mount --bind /dev/null "$0" && exec "$@""#)
            .args([&list, &self.path]);
        command
    }
}

/// Where a container's cgroup lies below its parent, as each of these would have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By hand: `ID`.
    Plain,
    /// Docker, cgroupfs driver.
    Docker,
    /// Docker, systemd driver.
    DockerSystemd,
    /// kubelet, cgroupfs driver: a pod of the class Burstable.
    Kubepods,
    /// kubelet, systemd driver, containerd.
    KubepodsSystemd,
    /// kubelet, systemd driver, CRI-O.
    Crio,
    /// Podman as root.
    Podman,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Docker,
        Self::DockerSystemd,
        Self::Kubepods,
        Self::KubepodsSystemd,
        Self::Crio,
        Self::Podman,
    ];

    /// It names a pod.
    #[must_use]
    pub fn has_pod(self) -> bool {
        matches!(self, Self::Kubepods | Self::KubepodsSystemd | Self::Crio)
    }

    fn path(self, id: &str, pod_uid: &str) -> String {
        // systemd takes a dash in a slice's name for a level, so the kubelet writes `_`.
        let slice = format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
            pod_uid.replace('-', "_")
        );
        match self {
            Self::Plain => id.to_owned(),
            Self::Docker => format!("docker/{id}"),
            Self::DockerSystemd => format!("system.slice/docker-{id}.scope"),
            Self::Kubepods => format!("kubepods/burstable/pod{pod_uid}/{id}"),
            Self::KubepodsSystemd => format!("{slice}/cri-containerd-{id}.scope"),
            Self::Crio => format!("{slice}/crio-{id}.scope"),
            Self::Podman => format!("machine.slice/libpod-{id}.scope"),
        }
    }
}

/// What a container is to be like. PID, mount, UTS and IPC namespaces are its own, the network
/// is the machine's.
#[derive(Clone, Debug)]
pub struct Builder<'a> {
    runtime: &'a Runtime,
    layout: Layout,
    pids_limit: Option<u64>,
    nproc: Option<u64>,
    uid: u32,
    pid_namespace: PidNamespace,
    cgroup_namespace: bool,
    privileged: bool,
    own_network: bool,
    without: Vec<&'static str>,
    binds: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
enum PidNamespace {
    Own,
    OfProcess(u32),
    Machines,
}

impl Builder<'_> {
    /// Where its cgroup lies; plain by default.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// `pids.max`; none by default.
    #[must_use]
    pub fn pids_limit(mut self, limit: u64) -> Self {
        self.pids_limit = Some(limit);
        self
    }

    /// `RLIMIT_NPROC` of its first process; the runtime's own by default.
    #[must_use]
    pub fn nproc(mut self, limit: u64) -> Self {
        self.nproc = Some(limit);
        self
    }

    /// User that it runs as; root by default.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// Adds `CAP_SYS_ADMIN`, as nested containers need, and `CAP_SYS_PTRACE`.
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.privileged = true;
        self
    }

    /// Leaves out a capability that containers have by default.
    #[must_use]
    pub fn without(mut self, capability: &'static str) -> Self {
        self.without.push(capability);
        self
    }

    /// Has a network namespace of its own, with nothing but the loopback.
    #[must_use]
    pub fn own_network(mut self) -> Self {
        self.own_network = true;
        self
    }

    /// Joins the PID namespace of this process, as the containers of a pod with
    /// `shareProcessNamespace` do.
    #[must_use]
    pub fn in_pid_namespace_of(mut self, pid: u32) -> Self {
        self.pid_namespace = PidNamespace::OfProcess(pid);
        self
    }

    /// Stays in the machine's PID namespace, as with `hostPID: true`.
    #[must_use]
    pub fn host_pid(mut self) -> Self {
        self.pid_namespace = PidNamespace::Machines;
        self
    }

    /// Has a cgroup namespace of its own, as is usual with cgroup v2.
    #[must_use]
    pub fn cgroup_namespace(mut self) -> Self {
        self.cgroup_namespace = true;
        self
    }

    /// Sees this directory of the machine, too, read-only.
    #[must_use]
    pub fn bind(mut self, dir: impl Into<PathBuf>) -> Self {
        self.binds.push(dir.into());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When the runtime fails.
    #[must_use]
    pub fn start(self, program: &Program) -> Container {
        let runtime = self.runtime.path.clone();
        self.try_start(program)
            .unwrap_or_else(|message| panic!("{}: {message}", runtime.display()))
    }

    fn try_start(self, program: &Program) -> Result<Container, String> {
        // From here on the guard cleans up, whatever fails.
        let top = names::unique("container");
        let (id, pod_uid) = ids(&top);
        let mut container = Container {
            runtime: self.runtime.clone(),
            cgroup: format!("/{top}/{}", self.layout.path(&id, &pod_uid)),
            bundle: std::env::temp_dir().join(&top),
            pod_uid: self.layout.has_pod().then_some(pod_uid),
            top,
            id,
            pid: 0,
        };
        container.make_bundle(&self, program)?;
        let out = fs::File::create(container.out()).map_err(|error| error.to_string())?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        let status = container
            .command()
            .args(["run", "--detach", "--bundle"])
            .arg(&container.bundle)
            .arg("--pid-file")
            .arg(container.bundle.join("pid"))
            .arg(&container.id)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .status()
            .map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(container.output().trim().to_owned());
        }
        let pid = fs::read_to_string(container.bundle.join("pid"));
        let pid = pid.ok().and_then(|pid| pid.trim().parse().ok());
        container.pid = pid.ok_or("the runtime wrote no pid")?;
        Ok(container)
    }

    fn config(&self, container: &Container, program: &Program) -> Value {
        let mut mounts = vec![
            json!({"destination": "/proc", "type": "proc", "source": "proc",
                   "options": ["nosuid", "noexec", "nodev"]}),
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                   "options": ["nosuid", "strictatime", "mode=755"]}),
            json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
                   "options": ["nosuid", "nodev"]}),
        ];
        let system = SYSTEM_DIRS
            .iter()
            .map(Path::new)
            .filter(|dir| is_real_dir(dir));
        let binds = program.binds.iter().chain(&self.binds);
        for dir in system.chain(binds.map(PathBuf::as_path)) {
            mounts.push(json!({"destination": dir, "type": "bind", "source": dir,
                               "options": ["rbind", "ro"]}));
        }
        let mut namespaces = vec![
            json!({"type": "mount"}),
            json!({"type": "uts"}),
            json!({"type": "ipc"}),
        ];
        match self.pid_namespace {
            PidNamespace::Own => namespaces.push(json!({"type": "pid"})),
            PidNamespace::OfProcess(pid) => {
                namespaces.push(json!({"type": "pid", "path": format!("/proc/{pid}/ns/pid")}));
            }
            PidNamespace::Machines => {}
        }
        if self.own_network {
            namespaces.push(json!({"type": "network"}));
        }
        if self.cgroup_namespace {
            namespaces.push(json!({"type": "cgroup"}));
            mounts.push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup",
                               "source": "cgroup", "options": ["ro", "nosuid", "noexec"]}));
        }
        let rlimits: Vec<Value> = self
            .nproc
            .map(|n| json!({"type": "RLIMIT_NPROC", "soft": n, "hard": n}))
            .into_iter()
            .collect();
        let resources = self
            .pids_limit
            .map_or(json!({}), |limit| json!({"pids": {"limit": limit}}));
        // What Docker and Kubernetes give by default, as far as signals and users go.
        let mut capabilities = vec!["CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"];
        if self.privileged {
            capabilities.extend(["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]);
        }
        capabilities.retain(|capability| !self.without.contains(capability));
        json!({
            "ociVersion": "1.0.2",
            "hostname": "sexton-test",
            "process": {
                "terminal": false,
                "user": {"uid": self.uid, "gid": self.uid},
                "args": program.argv,
                "env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"],
                "cwd": "/",
                "capabilities": {"bounding": capabilities, "permitted": capabilities,
                                 "effective": capabilities},
                "rlimits": rlimits,
                "noNewPrivileges": true,
                // No oomScoreAdj: lowering it takes CAP_SYS_RESOURCE, which root may lack.
            },
            "root": {"path": "rootfs", "readonly": true},
            "mounts": mounts,
            "linux": {
                "cgroupsPath": container.cgroup,
                "namespaces": namespaces,
                "resources": resources,
            },
        })
    }
}

pub(crate) const SYSTEM_DIRS: [&str; 6] = ["/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"];

pub(crate) fn is_real_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// A container id and a pod uid that no other run has.
pub(crate) fn ids(unique: &str) -> (String, String) {
    use std::hash::{BuildHasher, RandomState};
    // Random enough to be unique, and needs no crate.
    let [a, b, c, d] = [0; 4].map(|_: u8| RandomState::new().hash_one(unique));
    let uid = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a & 0xffff,
        b >> 52,
        b & 0xfff,
        c >> 16
    );
    (format!("{a:016x}{b:016x}{c:016x}{d:016x}"), uid)
}

/// A running container. On drop it is deleted, with its cgroups and its files.
#[derive(Debug)]
pub struct Container {
    runtime: Runtime,
    id: String,
    pid: u32,
    pod_uid: Option<String>,
    cgroup: String,
    /// First component of `cgroup`: what is removed in the end.
    top: String,
    bundle: PathBuf,
}

impl Container {
    /// One that `runtime` will make.
    #[must_use]
    pub fn builder(runtime: &Runtime) -> Builder<'_> {
        Builder {
            runtime,
            layout: Layout::Plain,
            pids_limit: None,
            nproc: None,
            uid: 0,
            pid_namespace: PidNamespace::Own,
            cgroup_namespace: false,
            privileged: false,
            own_network: false,
            without: Vec::new(),
            binds: Vec::new(),
        }
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its first process, as the machine numbers it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The uid of its pod, where its layout names one.
    #[must_use]
    pub fn pod_uid(&self) -> Option<&str> {
        self.pod_uid.as_deref()
    }

    /// Path of its cgroup below the mount.
    #[must_use]
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// Directory of its cgroup in the hierarchy that counts pids.
    #[must_use]
    pub fn cgroup_dir(&self) -> PathBuf {
        self.runtime.hierarchies.pids.join(&self.cgroup[1..])
    }

    /// All that it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        let bytes = fs::read(self.out()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has printed a line that `matches`, after the first `skip` bytes of its
    /// output, and gives the line.
    ///
    /// # Panics
    /// When that takes longer than [`process::patience`].
    pub fn wait_for_line(&self, skip: usize, matches: impl Fn(&str) -> bool) -> String {
        let what = || format!("a line of the container; it printed: {}", self.output());
        let line = || {
            let output = self.output();
            let new = output.get(skip..)?.to_owned();
            new.lines().find(|line| matches(line)).map(str::to_owned)
        };
        let start = std::time::Instant::now();
        loop {
            if let Some(line) = line() {
                return line;
            }
            assert!(
                start.elapsed() < process::patience(),
                "waited in vain for {}",
                what()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Runs a program inside, as `kubectl exec` would.
    ///
    /// # Panics
    /// When the runtime cannot be started.
    pub fn exec(&self, argv: &[&str]) -> Output {
        let output = self.command().arg("exec").arg(&self.id).args(argv).output();
        output.expect("the runtime was there a moment ago")
    }

    /// A command that starts in its cgroup but in the machine's own namespaces, so that the
    /// container's limits bind it.
    #[must_use]
    pub fn command_in_cgroup(&self, program: impl AsRef<OsStr>) -> Command {
        joined([self.cgroup_dir()], program)
    }

    /// Its first process is the one that was started, not another with its pid.
    #[must_use]
    pub fn identity(&self) -> Option<(u32, u64)> {
        process::identity(self.pid)
    }

    fn command(&self) -> Command {
        self.runtime.command(&self.bundle.join("state"))
    }

    /// Where the runtime keeps its files about it.
    #[must_use]
    pub fn kept_by_runtime(&self) -> PathBuf {
        self.bundle.join("state").join(&self.id)
    }

    fn out(&self) -> PathBuf {
        self.bundle.join("out")
    }

    fn make_bundle(&self, builder: &Builder<'_>, program: &Program) -> Result<(), String> {
        let text = |error: std::io::Error| format!("{}: {error}", self.bundle.display());
        let rootfs = self.bundle.join("rootfs");
        fs::create_dir_all(&rootfs).map_err(text)?;
        for dir in ["proc", "dev", "tmp", "sys"] {
            fs::create_dir(rootfs.join(dir)).map_err(text)?;
        }
        for dir in SYSTEM_DIRS {
            // On merged-/usr systems /bin is a link to usr/bin; it is one here, too.
            if let Ok(link) = fs::read_link(dir) {
                symlink(link, rootfs.join(&dir[1..])).map_err(text)?;
            }
        }
        let config = builder.config(self, program).to_string();
        fs::write(self.bundle.join("config.json"), config).map_err(text)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Fails where it never started; what counts is that the cgroups are empty and gone.
        let _ = self
            .command()
            .args(["delete", "--force", &self.id])
            .stdin(Stdio::null())
            .output();
        remove_everywhere(&self.runtime.hierarchies, &self.top);
        let _ = fs::remove_dir_all(&self.bundle);
    }
}
