//! `kubectl sexton reap`: the agent's own `sexton reap`, on the pod's node.

use std::process::ExitCode;

use crate::cli::{self, Connection};
use crate::connect::connect;
use crate::error::Error;
use crate::{pod, remote};

/// Runs the command; the exit status is that of the command on the node.
pub async fn run(args: cli::Reap, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Reap {
        pod: named,
        container,
        yes,
        output,
        rest,
    } = args;
    let at = connect(connection).await?;
    let placed = pod::find(&at, &named, container.as_deref()).await?;
    let agent = remote::agent(&at, &placed.node).await?;
    let mut command = vec!["reap".to_owned(), placed.target.clone()];
    if yes {
        command.push("--yes".to_owned());
    }
    if let Some(cli::Json::Json) = output {
        command.push("--output=json".to_owned());
    }
    command.extend(rest);
    let legend = output.is_none().then(|| placed.legend());
    let status = agent.run(&at, &command, legend).await?;
    Ok(ExitCode::from(status))
}
