//! `kubectl sexton audit`: which containers will not end on their stop signal.

use std::process::ExitCode;

use serde::Serialize;
use sexton_cluster::report::{ExitSignal, Status};
use sexton_core::audit::Mark;

use crate::cli::{self, Connection, Document, Output};
use crate::connect::{Connected, connect};
use crate::error::Error;
use crate::explain::on_node;
use crate::leaks::Asked;
use crate::output::{self, List};
use crate::table::{Table, or_none};
use crate::{pod, probes, seen};

/// A finding and its node; what `-o json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Found {
    node: String,
    #[serde(flatten)]
    finding: ExitSignal,
}

/// Runs the command.
pub async fn run(args: cli::Audit, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Audit {
        pod: named,
        container,
        probes,
        pods,
        format,
    } = args;
    let at = connect(connection).await?;
    if probes {
        return of_probes(&at, &pods, format).await;
    }
    if let Some(named) = named {
        let placed = pod::find(&at, &named, container.as_deref()).await?;
        let command = vec!["audit".to_owned(), placed.target.clone()];
        let output = match format.output {
            Some(Output::Json) => Some(Document::Json),
            Some(Output::Yaml) => Some(Document::Yaml),
            Some(Output::Wide | Output::Name) | None => None,
        };
        let status = on_node(&at, &placed, command, output).await?;
        return Ok(ExitCode::from(status));
    }
    let reports = seen::reports(&at).await?;
    let asked = Asked::new(&at, &pods).await?;
    let all = findings(reports.iter().map(|(node, status)| (node.as_str(), status)));
    let total = all.len();
    let found: Vec<Found> = all
        .into_iter()
        .filter(|found| {
            let ExitSignal { namespace, pod, .. } = &found.finding;
            asked.wants(namespace.as_deref(), pod.as_deref())
        })
        .collect();
    if found.is_empty() && format.output.is_none() {
        let what = "containers that will not end on their stop signal";
        eprintln!("{}", asked.nothing(what, total));
        return Ok(ExitCode::SUCCESS);
    }
    output::list(
        format,
        &List::new("ExitSignalList", found.clone()),
        |wide| table(&found, pods.all_namespaces, wide),
        |found| {
            let ExitSignal { namespace, pod, .. } = &found.finding;
            match (namespace, pod) {
                (Some(namespace), Some(pod)) if pods.all_namespaces => {
                    format!("pod/{namespace}/{pod}")
                }
                (_, Some(pod)) => format!("pod/{pod}"),
                _ => format!("node/{}", found.node),
            }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Exec probes and preStop hooks.
async fn of_probes(
    at: &Connected,
    pods: &cli::Pods,
    format: cli::Format,
) -> Result<ExitCode, Error> {
    let namespace = (!pods.all_namespaces).then_some(at.namespace.as_str());
    let found = probes::find(at, namespace, pods.selector.as_deref()).await?;
    if found.is_empty() && format.output.is_none() {
        eprintln!("No exec probe and no preStop hook was found that does not fit into its time.");
        return Ok(ExitCode::SUCCESS);
    }
    output::list(
        format,
        &List::new("ProbeFindingList", found.clone()),
        |_| probes::table(&found, pods.all_namespaces),
        probes::name,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// All findings of these reports, the surest first.
fn findings<'a>(reports: impl Iterator<Item = (&'a str, &'a Status)>) -> Vec<Found> {
    let mut found: Vec<Found> = reports
        .flat_map(|(node, status)| {
            status.exit_signals.iter().map(|finding| Found {
                node: node.to_owned(),
                finding: finding.clone(),
            })
        })
        .collect();
    found.sort_by_cached_key(|found| {
        let ExitSignal {
            namespace,
            pod,
            container,
            verdict,
            ..
        } = &found.finding;
        (*verdict, namespace.clone(), pod.clone(), container.clone())
    });
    found
}

fn table(found: &[Found], namespaces: bool, wide: bool) -> Table {
    let mut headers = Vec::new();
    if namespaces {
        headers.push("NAMESPACE");
    }
    headers.extend(["POD", "CONTAINER", "SIGNAL", "VERDICT", "NODE"]);
    if wide {
        headers.extend(["PROCESS", "OWNER"]);
    }
    let mut table = Table::new(&headers);
    for Found { node, finding } in found {
        let mut row = Vec::new();
        if namespaces {
            row.push(or_none(finding.namespace.as_deref()));
        }
        row.extend([
            or_none(finding.pod.as_deref()),
            finding.container.clone(),
            finding.signal.clone(),
            verdict(finding.verdict).to_owned(),
            node.clone(),
        ]);
        if wide {
            row.extend([finding.process.clone(), or_none(finding.owner.as_deref())]);
        }
        table.row(row);
    }
    table
}

fn verdict(verdict: Mark) -> &'static str {
    match verdict {
        Mark::Killed => "Killed",
        Mark::EndsUnheard => "EndsUnheard",
        Mark::Unknown => "Unknown",
        Mark::Ends => "Ends",
    }
}
