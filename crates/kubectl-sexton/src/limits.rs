//! `kubectl sexton limits`: on which limit fork fails in a pod, and who fills it, as the agent of
//! its node sees it.

use std::process::ExitCode;

use crate::cli::{self, Connection};
use crate::connect::connect;
use crate::error::Error;
use crate::explain::on_node;
use crate::pod::{self, Placed};

/// Runs the command; the exit status is that of `sexton limits`: 1 where a limit is reached.
pub async fn run(args: cli::Limits, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Limits {
        pod: named,
        container,
        output,
        rest,
    } = args;
    let at = connect(connection).await?;
    let mut placed = pod::find(&at, &named, container.as_deref()).await?;
    if container.is_none() {
        placed.target = the_container(&placed)?;
    }
    let mut command = vec!["limits".to_owned(), placed.target.clone()];
    command.extend(rest);
    let status = on_node(&at, &placed, command, output).await?;
    Ok(ExitCode::from(status))
}

/// Each container has limits of its own.
fn the_container(placed: &Placed) -> Result<String, Error> {
    match &placed.containers[..] {
        [] => Err(Error::Usage(format!("no container of pod {placed} runs"))),
        [(id, _)] => Ok(format!("container/{id}")),
        several => {
            let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
            Err(Error::Usage(format!(
                "pod {placed} has several containers, each with limits of its own: give -c with one \
                 of {}",
                names.join(", ")
            )))
        }
    }
}
