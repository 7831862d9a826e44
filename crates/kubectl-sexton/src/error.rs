//! What can go wrong, said as kubectl says it.

use std::io;
use std::path::PathBuf;

use kube::config::KubeconfigError;

pub use sexton_cluster::crd::GROUP;

/// Every error ends the command with exit status 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig says nothing that can be used.
    #[error("error: {}", kubeconfig(.0))]
    Kubeconfig(#[from] KubeconfigError),
    /// `--kubeconfig` names a file that is not there.
    #[error("error: stat {path}: no such file or directory", path = .0.display())]
    NoKubeconfig(PathBuf),
    /// There is neither a kubeconfig nor a pod around us.
    #[error(
        "error: no configuration has been provided: set KUBECONFIG, give --kubeconfig, or make ~/.kube/config"
    )]
    NoConfiguration,
    /// The server refused, or could not be asked.
    #[error("{message}{hint}", message = message(cause, right, server), hint = hint(cause, right))]
    Server {
        /// Its address.
        server: String,
        /// What the request takes.
        right: Right,
        /// What came of it.
        #[source]
        cause: Box<kube::Error>,
    },
    /// The client could not be made.
    #[error("error: {0}")]
    Client(#[source] kube::Error),
    /// What was asked for is not there, or makes no sense.
    #[error("error: {0}")]
    Usage(String),
    /// Standard output, a file.
    #[error("error: {0}")]
    Io(#[from] io::Error),
    /// A document could not be written.
    #[error("error: {0}")]
    Json(#[from] serde_json::Error),
    /// A document could not be written.
    #[error("error: {0}")]
    Yaml(String),
}

impl Error {
    /// Whoever read our output has had enough of it.
    pub fn is_broken_pipe(&self) -> bool {
        let kind = match self {
            Self::Io(error) => Some(error.kind()),
            Self::Json(error) => error.io_error_kind(),
            _ => None,
        };
        kind == Some(io::ErrorKind::BrokenPipe)
    }
}

/// The right in RBAC that a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: &'static str,
    /// In the namespace of the agents; everywhere else at the scope of the cluster.
    pub with_agents: bool,
}

impl Right {
    /// At the scope of the cluster, or of the namespace that was asked for.
    pub const fn new(verb: &'static str, group: &'static str, resource: &'static str) -> Self {
        Self {
            verb,
            group,
            resource,
            with_agents: false,
        }
    }

    /// In the namespace of the agents.
    pub const fn with_agents(verb: &'static str, resource: &'static str) -> Self {
        Self {
            verb,
            group: "",
            resource,
            with_agents: true,
        }
    }

    /// For a kube error of a request to that server that takes it.
    pub fn failed(self, server: &str) -> impl FnOnce(kube::Error) -> Error {
        let server = server.to_owned();
        move |cause| Error::Server {
            server,
            right: self,
            cause: Box::new(cause),
        }
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            verb,
            group,
            resource,
            with_agents,
        } = self;
        let role = if *with_agents {
            "a Role in the namespace of the agents"
        } else {
            "a ClusterRole"
        };
        write!(
            f,
            "{{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verb}]}} in {role}"
        )
    }
}

/// As kubectl says it, where that is clearer.
fn kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::LoadContext(name) => format!("context \"{name}\" does not exist"),
        KubeconfigError::LoadClusterOfContext(name) => format!("cluster \"{name}\" does not exist"),
        KubeconfigError::CurrentContextNotSet => {
            "current-context is not set: give --context".to_owned()
        }
        other => other.to_string(),
    }
}

/// What the server said, as kubectl prints it.
fn message(cause: &kube::Error, right: &Right, server: &str) -> String {
    match cause {
        kube::Error::Api(status) if is_unknown_resource(status, right) => format!(
            "error: the server doesn't have a resource type \"{}\"",
            right.resource
        ),
        kube::Error::Api(status) if status.reason.is_empty() => {
            format!("Error from server: {}", status.message)
        }
        kube::Error::Api(status) => {
            format!("Error from server ({}): {}", status.reason, status.message)
        }
        other if is_refused(other) => format!(
            "The connection to the server {server} was refused - did you specify the right host or port?"
        ),
        other => format!("Unable to connect to the server: {}", innermost(other)),
    }
}

/// A list can be not found only where the server does not know of such things.
fn is_unknown_resource(status: &kube::core::Status, right: &Right) -> bool {
    right.verb == "list" && status.code == 404
}

/// Nobody listens there.
fn is_refused(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let refused = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if refused {
            return true;
        }
        next = error.source();
    }
    false
}

/// The chain's last words: what is above them says "service error", "client error".
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// What to do about it, on a line of its own.
fn hint(cause: &kube::Error, right: &Right) -> String {
    match cause {
        kube::Error::Api(status) if status.is_forbidden() => {
            format!("\nIt takes the rule {right}.")
        }
        kube::Error::Api(status) if right.group == GROUP && is_unknown_resource(status, right) => {
            "\nSexton is not installed in this cluster.".to_owned()
        }
        _ => String::new(),
    }
}
