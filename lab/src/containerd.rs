//! Debian's containerd with its CRI plugin, started for one test, and pods made the way the
//! kubelet makes them.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use sexton_lab::{Containerd, Leak, Program, require};
//! # fn test() {
//! let Some(containerd) = require(Containerd::start()) else { return };
//! let pod = containerd.pod("crawler-0").label("app", "crawler").start();
//! pod.set_pids_max(200); // as the kubelet does with podPidsLimit
//! let crawler = pod
//!     .container("crawler")
//!     .grace_seconds(5)
//!     .start(&Leak::new().interval_ms(10).program());
//! println!("{} is pid {}", crawler.id(), crawler.pid());
//! // `sexton_runtime::Cri::new(containerd.socket())` sees it now; so does `Runtimes::find`
//! // with this socket given.
//! let _ = crawler.exec(&["/bin/true"]);
//! crawler.stop(Duration::from_secs(5)); // by the CRI, as anybody might
//! let again = crawler.start_again(); // as the kubelet would: the next attempt, another id
//! let kept = again.keep_running(); // from now on by itself
//! containerd.kill(); // kill -9; containers go on
//! containerd.restart();
//! assert!(kept.current().is_running());
//! # }
//! ```
//!
//! containerd has directories, a socket, a cgroup and a mount namespace of its own: what it
//! mounts the machine never sees. Pods are in the host's network (no CNI is needed), and their
//! cgroups are those of a kubelet below a top of the test's own
//! (`/sexton-test-…-pods/kubepods/burstable/podUID/ID`). Containers see the machine's `/usr`
//! and so on, read-only, and have a root file system to write to; no registry is asked.
//!
//! Dropping the last of [`Containerd`] and its pods ends them all with their shims.

mod container;
mod image;
mod kubelet;
mod pod;

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sexton_runtime::client;
use tonic::Status;
use tonic::transport::Channel;

pub use container::{ContainerBuilder, Exec, PodContainer};
pub use image::archive;
pub use kubelet::Kept;
pub use pod::{Builder as PodBuilder, Pod};

use crate::process::wait_until;
use crate::program::find;
use crate::skip::{Skip, require_root};
use crate::sweep::sweep;
use crate::{Cgroup, names};

/// A containerd of the test's own. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Containerd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    socket: PathBuf,
    daemon: Mutex<Option<Child>>,
    /// The mount namespace that it shares with its shims, once there is one.
    namespace: Mutex<Option<File>>,
    /// Where pods are. Dropped first: what runs in it, then shims.
    pods: Cgroup,
    own: Cgroup,
}

impl Containerd {
    /// Starts one, with the images that pods need.
    ///
    /// # Errors
    /// [`Skip`] where it is not installed, or cannot work here.
    pub fn start() -> Result<Self, Skip> {
        require_root()?;
        sweep();
        for (program, package) in [
            ("containerd", "containerd"),
            ("ctr", "containerd"),
            ("containerd-shim-runc-v2", "containerd"),
            ("runc", "runc"),
            ("nsenter", "util-linux"),
        ] {
            if find(program).is_none() {
                return Skip::because(format!("{program} is not installed (package {package})"));
            }
        }
        let own = Cgroup::new("containerd")?;
        let pods = Cgroup::new("pods")?;
        let dir = std::env::temp_dir().join(names::unique("containerd"));
        let containerd = Self(Arc::new(Inner {
            socket: dir.join("containerd.sock"),
            dir,
            daemon: Mutex::new(None),
            namespace: Mutex::new(None),
            pods,
            own,
        }));
        let said = |error: std::io::Error| Skip(format!("{}: {error}", containerd.dir().display()));
        fs::create_dir(containerd.dir()).map_err(said)?;
        // Shims have their sockets there, whatever else is configured.
        fs::create_dir_all(SHIMS).map_err(said)?;
        fs::write(containerd.dir().join("config.toml"), containerd.config()).map_err(said)?;
        containerd.launch().map_err(Skip)?;
        image::import_all(&containerd)?;
        Ok(containerd)
    }

    /// Its socket, which serves CRI v1.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// Its pid.
    ///
    /// # Panics
    /// While it is killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon().as_ref().expect("it runs").id()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The cgroup of containerd itself and its shims, below each mount.
    #[must_use]
    pub fn cgroup(&self) -> &Cgroup {
        &self.0.own
    }

    /// The cgroup that all pods are in.
    #[must_use]
    pub fn pods_cgroup(&self) -> &Cgroup {
        &self.0.pods
    }

    /// `kill -9`. Shims and containers go on, as after a crash.
    pub fn kill(&self) {
        if let Some(mut child) = self.daemon().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it in the middle of whatever it does: it takes connections and answers nothing.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        // kill(2) does not wait for it, and any thread that still runs might answer.
        let tasks = PathBuf::from(format!("/proc/{}/task", self.pid()));
        let stopped = |task: &Path| {
            let status = fs::read_to_string(task.join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:\tT"))
        };
        wait_until("it is stopped", || {
            let mut tasks = fs::read_dir(&tasks).ok()?.flatten();
            tasks.all(|task| stopped(&task.path())).then_some(())
        });
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again after [`Containerd::kill`], and waits until its CRI plugin answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn restart(&self) {
        self.kill();
        self.launch().unwrap_or_else(|reason| panic!("{reason}"));
    }

    fn launch(&self) -> Result<(), String> {
        let log = self.dir().join("log");
        let log = File::options().create(true).append(true).open(log);
        let log = log.map_err(|error| error.to_string())?;
        let first = self.namespace().is_none();
        let mut command = if first {
            let mut command = self.0.own.command("unshare");
            command
                .args(["--mount", "--propagation", "private", "/bin/sh", "-c"])
                .arg(r#"mount -t tmpfs tmpfs "$0" && exec "$@""#)
                .args([SHIMS, "containerd"]);
            command
        } else {
            self.command("containerd")
        };
        let child = command
            .arg("--config")
            .arg(self.dir().join("config.toml"))
            // It calls runc, which is in /usr/sbin.
            .env("PATH", PATH)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn();
        *self.daemon() = Some(child.map_err(|error| error.to_string())?);
        wait_until("containerd answers, or ends", || {
            let ended = self.daemon().as_mut()?.try_wait().ok()?;
            if let Some(status) = ended {
                return Some(Err(format!("containerd: {status}: {}", self.log())));
            }
            let status = self.try_call(async |channel| {
                let request = client::StatusRequest::default();
                client::runtime_service(channel).status(request).await
            });
            status.is_ok().then_some(Ok(()))
        })?;
        if first {
            let path = format!("/proc/{}/ns/mnt", self.pid());
            let namespace = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
            *self.namespace() = Some(namespace);
        }
        Ok(())
    }

    /// A pod to be made; `metadata.name` is given.
    #[must_use]
    pub fn pod(&self, name: &str) -> PodBuilder {
        PodBuilder::new(self.clone(), name)
    }

    /// An image whose `STOPSIGNAL` is this; its name.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn image_with_stop_signal(&self, signal: &str) -> String {
        let name = format!(
            "localhost/sexton-test:{}",
            signal.to_lowercase().replace('+', "-")
        );
        image::import(self, &name, image::Contents::System, signal)
            .unwrap_or_else(|reason| panic!("{reason}"));
        name
    }

    /// A command that starts in its cgroup and sees its mounts, for what is to be built on it:
    /// `dockerd --containerd SOCKET`.
    ///
    /// # Panics
    /// Before it was started.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let namespace = self.namespace();
        let fd = namespace.as_ref().expect("it was started").as_raw_fd();
        let mut command = self.0.own.command("nsenter");
        command
            .arg(format!("--mount=/proc/{}/fd/{fd}", std::process::id()))
            .arg(program)
            .env("PATH", PATH);
        command
    }

    fn namespace(&self) -> MutexGuard<'_, Option<File>> {
        let namespace = self.0.namespace.lock();
        namespace.unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self) -> &Path {
        &self.0.dir
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("it runs");
    }

    /// One call of the CRI.
    ///
    /// # Panics
    /// When it fails.
    fn call<T>(
        &self,
        what: &str,
        call: impl AsyncFnOnce(Channel) -> Result<tonic::Response<T>, Status>,
    ) -> T {
        self.try_call(call)
            .unwrap_or_else(|error| panic!("{what}: {error}; containerd's log: {}", self.log()))
    }

    fn try_call<T>(
        &self,
        call: impl AsyncFnOnce(Channel) -> Result<tonic::Response<T>, Status>,
    ) -> Result<T, String> {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let executor = executor.map_err(|error| error.to_string())?;
        executor.block_on(async {
            let answer = tokio::time::timeout(crate::patience(), async {
                let channel = client::connect(self.socket()).await;
                let channel = channel.map_err(|error| format!("{error:?}"))?;
                call(channel).await.map_err(|status| format!("{status:?}"))
            });
            let answer = answer.await.map_err(|_| "no answer".to_owned())??;
            Ok(answer.into_inner())
        })
    }

    fn config(&self) -> String {
        let dir = self.dir().display();
        let pause = image::PAUSE;
        format!(
            r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = [
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.nri.v1.nri",
]
[grpc]
address = "{dir}/containerd.sock"
[ttrpc]
address = "{dir}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Root may lack CAP_SYS_RESOURCE, which lowering oom_score_adj takes.
restrict_oom_score_adj = true
disable_apparmor = true
disable_tcp_service = true
[plugins."io.containerd.grpc.v1.cri".containerd]
# overlayfs on whatever /tmp is may not work; the images are tiny.
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{dir}/cni"
conf_dir = "{dir}/cni"
"#
        )
    }
}

/// containerd's shims listen below it; the place is not configurable.
const SHIMS: &str = "/run/containerd";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a pod may take to end, all told.
const POD_ENDS: Duration = Duration::from_secs(60);

impl Drop for Inner {
    fn drop(&mut self) {
        let daemon = self
            .daemon
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = daemon {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Shims first, lest they clean up what is being removed under them.
        crate::hierarchies::remove_everywhere(&self.own.hierarchies, &self.own.name);
        crate::hierarchies::remove_everywhere(&self.pods.hierarchies, &self.pods.name);
        // Its mounts are in a namespace that ended with the last of them.
        *self
            .namespace
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner) = None;
        let _ = fs::remove_dir_all(&self.dir);
    }
}
