//! The agent's own command on a node, through `pods/exec`: Kubernetes' RBAC decides who may.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Client;
use kube::api::{Api, AttachParams, ListParams};
use sexton_core::text::safe;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connect::Connected;
use crate::error::{Error, Right};
use crate::seen::AGENTS;

/// The agent's container in its pod.
const CONTAINER: &str = "agent";
/// Where the image has its one program.
const PROGRAM: &str = "/sexton";

/// The agent of one node.
#[derive(Debug)]
pub struct Agent {
    pod: String,
    /// Program, and where it looks: the same roots as the agent itself.
    command: Vec<String>,
}

/// Finds the agent of a node.
///
/// # Errors
/// There is none, or nobody may say.
pub async fn agent(at: &Connected, node: &str) -> Result<Agent, Error> {
    let api: Api<Pod> = Api::namespaced(at.client.clone(), &at.agent_namespace);
    let params = ListParams::default()
        .labels(AGENTS)
        .fields(&format!("spec.nodeName={node}"));
    let pods = api
        .list(&params)
        .await
        .map_err(Right::with_agents("list", "pods").failed(&at.server))?;
    let none = || {
        Error::Usage(format!(
            "no agent runs on node {node} (pods with {AGENTS} in namespace {}): \
             see kubectl sexton nodes, and --agent-namespace",
            at.agent_namespace
        ))
    };
    let running = pods.items.into_iter().find_map(|pod| {
        let phase = pod.status.as_ref()?.phase.as_deref()?;
        let ends = pod.metadata.deletion_timestamp.is_some();
        let container = pod
            .spec
            .as_ref()?
            .containers
            .iter()
            .find(|c| c.name == CONTAINER)?;
        let command = command(container);
        (phase == "Running" && !ends).then_some(Agent {
            pod: pod.metadata.name?,
            command,
        })
    });
    running.ok_or_else(none)
}

/// The agent's program with its own `--path-…`: elsewhere it would look at the wrong roots.
fn command(container: &Container) -> Vec<String> {
    let own = container.command.iter().flatten();
    let program = own.clone().next().map_or(PROGRAM, String::as_str);
    let mut command = vec![program.to_owned()];
    let mut rest = own.skip(1).chain(container.args.iter().flatten());
    while let Some(argument) = rest.next() {
        if !argument.starts_with("--path-") {
            continue;
        }
        command.push(argument.clone());
        if !argument.contains('=') {
            command.extend(rest.next().cloned());
        }
    }
    command
}

impl Agent {
    /// Runs `sexton ARGUMENTS` beside the agent, with its output as ours; its exit status. Once it
    /// has begun, `legend` is told.
    ///
    /// # Errors
    /// It cannot be begun, or the connection broke.
    pub async fn run(
        &self,
        at: &Connected,
        arguments: &[String],
        legend: Option<String>,
    ) -> Result<u8, Error> {
        self.run_to(at, arguments, legend, tokio::io::stdout())
            .await
    }

    /// The same with its standard output kept.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub async fn output(
        &self,
        at: &Connected,
        arguments: &[String],
    ) -> Result<(u8, Vec<u8>), Error> {
        let mut kept = Vec::new();
        let status = self.run_to(at, arguments, None, &mut kept).await?;
        Ok((status, kept))
    }

    async fn run_to(
        &self,
        at: &Connected,
        arguments: &[String],
        legend: Option<String>,
        mut out: impl AsyncWrite + Unpin,
    ) -> Result<u8, Error> {
        // Not the client of `--request-timeout`: this may rightly take minutes.
        let client: Client = at.patient()?;
        let api: Api<Pod> = Api::namespaced(client, &at.agent_namespace);
        let command = self.command.iter().chain(arguments);
        let params = AttachParams::default()
            .container(CONTAINER)
            .stdin(false)
            .stdout(true)
            .stderr(true);
        // A WebSocket is asked for by GET; from 1.35 on `create` is asked for as well.
        let mut process = api
            .exec(&self.pod, command, &params)
            .await
            .map_err(Right::with_agents("create, get", "pods/exec").failed(&at.server))?;
        if let Some(legend) = legend {
            eprintln!("{}", safe(&legend));
        }
        let status = process.take_status();
        let (stdout, stderr) = (process.stdout(), process.stderr());
        tokio::try_join!(copy(stdout, &mut out), copy(stderr, tokio::io::stderr()))?;
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        exit_status(status.as_ref())
    }
}

/// Both streams must be read at once, else the one that is full holds up the other.
async fn copy(
    from: Option<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.flush().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

/// The exit status of a command, as the protocol of `exec` gives it
/// (k8s.io/apimachinery/pkg/util/remotecommand, `NonZeroExitCodeReason`).
fn exit_status(status: Option<&Status>) -> Result<u8, Error> {
    let broken = |what: &str| Error::Usage(format!("the command on the node: {what}"));
    let status = status.ok_or_else(|| broken("the connection broke before it ended"))?;
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status
        .details
        .as_ref()
        .and_then(|details| details.causes.as_ref());
    causes
        .into_iter()
        .flatten()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .and_then(|cause| cause.message.as_deref()?.parse().ok())
        .ok_or_else(|| broken(status.message.as_deref().unwrap_or("it failed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_of(json: serde_json::Value) -> Vec<String> {
        command(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn the_command_looks_where_the_agent_does() {
        assert_eq!(
            command_of(serde_json::json!({
                "name": "agent",
                "args": ["agent", "--cluster", "--path-cgroupfs=/host/sys/fs/cgroup",
                         "--path-rootfs", "/host", "--runtime=none"],
            })),
            [
                "/sexton",
                "--path-cgroupfs=/host/sys/fs/cgroup",
                "--path-rootfs",
                "/host"
            ]
        );
        assert_eq!(
            command_of(serde_json::json!({"name": "agent", "command": ["/bin/sexton", "agent"]})),
            ["/bin/sexton"]
        );
    }

    #[test]
    fn exit_statuses() {
        let status = |json| exit_status(Some(&serde_json::from_value(json).unwrap()));
        assert_eq!(status(serde_json::json!({"status": "Success"})).unwrap(), 0);
        let failed = serde_json::json!({
            "status": "Failure", "reason": "NonZeroExitCode",
            "message": "command terminated with non-zero exit code",
            "details": {"causes": [{"reason": "ExitCode", "message": "2"}]},
        });
        assert_eq!(status(failed).unwrap(), 2);
        let error = status(serde_json::json!({"status": "Failure", "message": "no such file"}));
        assert!(error.unwrap_err().to_string().contains("no such file"));
        assert!(exit_status(None).is_err());
    }
}
