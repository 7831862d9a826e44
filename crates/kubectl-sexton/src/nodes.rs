//! `kubectl sexton nodes`: a row a node.

use std::process::ExitCode;

use serde::Serialize;
use sexton_cluster::report::{Exhaustion, Status};
use sexton_core::text::count;
use sexton_page::cluster::{Outlook, Within};

use crate::cli::{self, Connection};
use crate::connect::connect;
use crate::error::Error;
use crate::output::{self, List};
use crate::seen::{self, SeenNode};
use crate::table::{Table, or_none};

/// What `-o json` prints of a node.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    node: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Status>,
}

/// Runs the command.
pub async fn run(args: cli::Nodes, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Nodes {
        names,
        selector,
        format,
    } = args;
    let at = connect(connection).await?;
    let mut seen = seen::look(&at, selector.as_deref()).await?;
    for name in &names {
        if !seen.nodes.iter().any(|node| node.name == *name) {
            return Err(Error::Usage(format!("there is no node {name}")));
        }
    }
    seen.nodes
        .retain(|node| names.is_empty() || names.contains(&node.name));
    seen.nodes.sort_by_cached_key(urgency);
    seen.tell_gaps();
    if seen.nodes.is_empty() && format.output.is_none() {
        eprintln!("No nodes found.");
        return Ok(ExitCode::SUCCESS);
    }
    let entries = seen.nodes.iter().map(|node| Entry {
        node: node.name.clone(),
        state: node.state.word(),
        message: node.state.why().map(str::to_owned),
        report: node.status.clone(),
    });
    let list = List::new("NodeStatusList", entries.collect());
    output::list(
        format,
        &list,
        |wide| table(&seen.nodes, wide),
        |entry| format!("node/{}", entry.node),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Nodes in the order in which they need a person.
pub fn urgency(node: &SeenNode) -> impl Ord + use<> {
    let status = node.status.as_ref();
    let within = status
        .and_then(|status| outlook(status.forecast.as_ref()))
        .map_or(Within::Held, |outlook| outlook.within);
    let used = status.map_or(0, |status| status.pids_used_percent);
    let zombies = status.map_or(0, |status| status.zombies);
    // A blind spot comes before what is known to be quiet.
    let quiet = node.state.why().is_none() && zombies == 0;
    (
        within,
        quiet,
        std::cmp::Reverse((used, zombies)),
        node.name.clone(),
    )
}

/// A forecast of a report.
pub fn outlook(forecast: Option<&Exhaustion>) -> Option<Outlook> {
    let Exhaustion { limit, within } = forecast?;
    Some(Outlook {
        within: Within::parse(within)?,
        limit: *limit,
    })
}

fn table(nodes: &[SeenNode], wide: bool) -> Table {
    let mut headers = vec![
        "NAME", "STATUS", "ZOMBIES", "LEAKS", "PIDS", "FULL IN", "LIMIT",
    ];
    if wide {
        headers.extend(["STUCK EXITS", "KERNEL", "AGENT", "MESSAGE"]);
    }
    let mut table = Table::new(&headers);
    for node in nodes {
        let status = node.status.as_ref();
        let figure = |of: fn(&Status) -> String| status.map(of).unwrap_or_default();
        let outlook = status.and_then(|status| outlook(status.forecast.as_ref()));
        let mut row = vec![
            node.name.clone(),
            node.state.word().to_owned(),
            figure(|s| count(s.zombies)),
            figure(|s| count(s.leak_count)),
            figure(|s| format!("{}%", s.pids_used_percent)),
            outlook.map(|o| o.within.to_string()).unwrap_or_default(),
            or_none(outlook.map(|o| o.limit.name())),
        ];
        if wide {
            row.extend([
                figure(|s| count(s.exit_signal_count)),
                figure(|s| s.kernel.clone()),
                figure(|s| s.agent_version.clone()),
                or_none(node.state.why()),
            ]);
        }
        table.row(row);
    }
    table
}
