//! A real Kubernetes cluster (`lab/cluster`), shared by the tests of one binary.
//!
//! ```no_run
//! # use sexton_lab::{Cluster, require};
//! # fn test() {
//! let Some(cluster) = require(Cluster::shared()) else { return };
//! cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: story}}");
//! let pods = cluster.get(&["pods", "--all-namespaces"]);
//! assert_eq!(pods["kind"], "List");
//! # }
//! ```
//!
//! It comes up with the first test that asks for it, and goes down with the test's process,
//! however that ends. Tests keep out of each other's way by namespaces of their own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::program::Program;
use crate::skip::Skip;

/// The image of the lab: busybox under all its names, and the story's leak.
pub const IMAGE: &str = "localhost/sexton-lab:1";

/// A cluster that is up, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    nodes: u32,
}

impl Cluster {
    /// The one of this process: two nodes, `node1` and `node2`.
    ///
    /// # Errors
    /// [`Skip`] where this machine cannot have one.
    pub fn shared() -> Result<&'static Self, Skip> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::up(2, &["--nodes", "2"]).map_err(|skip| skip.0));
        shared.as_ref().map_err(|reason| Skip(reason.clone()))
    }

    /// etcd and kube-apiserver alone, the one of this process, on a loopback address of the
    /// host.
    ///
    /// # Errors
    /// [`Skip`] where this machine cannot have one.
    pub fn control_plane() -> Result<&'static Self, Skip> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::control_plane_with(&[]).map_err(|skip| skip.0));
        shared.as_ref().map_err(|reason| Skip(reason.clone()))
    }

    /// The same with other flags of kube-apiserver, for one test.
    ///
    /// # Errors
    /// [`Skip`] where this machine cannot have one.
    pub fn control_plane_with(flags: &[&str]) -> Result<Self, Skip> {
        let mut options = vec!["--control-plane"];
        for flag in flags {
            options.extend(["--apiserver-flag", flag]);
        }
        Self::up(0, &options)
    }

    fn up(nodes: u32, options: &[&str]) -> Result<Self, Skip> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let pid = std::process::id();
        let name = format!("test-{pid}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let cluster = Self { name, nodes };
        let mut up = cluster.command("up", options);
        let output = run(up.args(["--with-pid", &pid.to_string()]), None);
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said.lines().last().unwrap_or_default();
        match (output.status.code(), said.strip_prefix("SKIP: ")) {
            (Some(0), _) => Ok(cluster),
            (Some(SKIPPED), Some(reason)) => Skip::because(reason),
            _ => panic!("{up:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// The administrator's kubeconfig. From outside a node it is of use for
    /// [`Cluster::control_plane`] alone.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        PathBuf::from(self.did(self.command("kubeconfig", &[])).trim())
    }

    /// Names of the nodes.
    pub fn nodes(&self) -> impl Iterator<Item = String> {
        (1..=self.nodes).map(|n| format!("node{n}"))
    }

    /// kubectl as cluster administrator; what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.did(self.command("kubectl", arguments))
    }

    /// The same where it may fail: what it prints on standard output, or on standard error.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.try_kubectl_with(arguments, None)
    }

    /// The same with this on its standard input.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn try_kubectl_with(
        &self,
        arguments: &[&str],
        input: Option<&str>,
    ) -> Result<String, String> {
        let output = run(&mut self.command("kubectl", arguments), input);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// `kubectl get ARGUMENTS -o json`.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn get(&self, arguments: &[&str]) -> Value {
        self.try_get(arguments)
            .unwrap_or_else(|error| panic!("kubectl get {arguments:?}: {error}"))
    }

    /// The same where it may not be there.
    ///
    /// # Errors
    /// What kubectl says.
    pub fn try_get(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut all = vec!["get", "--output=json"];
        all.extend(arguments);
        let printed = self.try_kubectl(&all)?;
        serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"))
    }

    /// `kubectl apply` of these documents (YAML or JSON).
    ///
    /// # Panics
    /// When they are refused.
    pub fn apply(&self, documents: &str) {
        self.try_apply(documents)
            .unwrap_or_else(|error| panic!("{error}\n{documents}"));
    }

    /// The same where they may be refused.
    ///
    /// # Errors
    /// What kubectl says.
    pub fn try_apply(&self, documents: &str) -> Result<String, String> {
        self.try_kubectl_with(&["apply", "--filename=-"], Some(documents))
    }

    /// helm as cluster administrator; what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn helm(&self, arguments: &[&str]) -> String {
        self.did(self.command("helm", arguments))
    }

    /// A command on a node (1 is the first), with the node's processes, mounts and network; what
    /// it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn on_node(&self, node: u32, argv: &[&str]) -> String {
        let node = node.to_string();
        let mut all = vec!["--node", &node];
        all.extend(argv);
        self.did(self.command("in", &all))
    }

    /// Imports an image (docker-archive or OCI archive) on every node.
    ///
    /// # Panics
    /// When it cannot be imported.
    pub fn image(&self, archive: &Path) {
        let archive = archive.to_string_lossy();
        self.did(self.command("image", &[&archive]));
    }

    /// `kill -9` of a program of a node, `kube-apiserver` or `kubelet` say, which stays down
    /// until [`Cluster::go_on`].
    ///
    /// # Panics
    /// When the node has none of that name.
    pub fn stop(&self, program: &str, node: u32) {
        let node = node.to_string();
        self.did(self.command("stop", &[program, "--node", &node]));
    }

    /// Lets it start again. The caller waits for what is to be seen.
    ///
    /// # Panics
    /// When the node has none of that name.
    pub fn go_on(&self, program: &str, node: u32) {
        let node = node.to_string();
        self.did(self.command("start", &[program, "--node", &node]));
    }

    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
        let mut all = Command::new(script);
        all.arg(command).arg(&self.name).args(arguments);
        all
    }

    fn did(&self, mut command: Command) -> String {
        let output = run(&mut command, None);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What it says goes where the test's own output goes.
        let _ = self.command("down", &[]).status();
    }
}

/// Exit status of `cluster` where the machine cannot do it.
const SKIPPED: i32 = 3;

fn run(command: &mut Command, input: Option<&str>) -> Output {
    let stdin = input.map_or_else(Stdio::null, |_| Stdio::piped());
    let child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // It may have failed without reading, and says why.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A container for a pod's `spec.containers`, and the `spec.volumes` it needs: a program of this
/// machine, with the machine's `/usr` and what else it wants to see, read-only.
#[must_use]
pub fn container(name: &str, program: &Program) -> (Value, Value) {
    let mut dirs: Vec<PathBuf> = ["/usr", "/etc/alternatives", "/etc/chromium.d", "/etc/fonts"]
        .into_iter()
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir())
        .collect();
    dirs.extend(program.binds.iter().cloned());
    let volumes: Vec<_> = dirs
        .iter()
        .enumerate()
        .map(|(n, dir)| json!({"name": format!("host{n}"), "hostPath": {"path": dir}}))
        .collect();
    let mounts: Vec<_> = dirs
        .iter()
        .enumerate()
        .map(|(n, dir)| json!({"name": format!("host{n}"), "mountPath": dir, "readOnly": true}))
        .collect();
    let container = json!({
        "name": name, "image": IMAGE, "imagePullPolicy": "Never",
        "command": program.argv, "volumeMounts": mounts,
        "env": [{"name": "HOME", "value": "/tmp"}, {"name": "PATH", "value": "/usr/bin:/bin"}],
    });
    (container, Value::from(volumes))
}
