//! `kubectl sexton audit`: which containers will not end on their stop signal.

use std::process::ExitCode;

use serde::Serialize;
use sexton_cluster::report::{ExitSignalLine, Status};
use sexton_core::audit::Mark;
use sexton_core::text::plural;

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
    finding: ExitSignalLine,
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
        let mut command = vec!["audit".to_owned(), placed.target.clone()];
        if !placed.probes.is_empty() {
            let probes = serde_json::to_string(&placed.probes)?;
            command.extend(["--probes".to_owned(), probes]);
        }
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
            let ExitSignalLine { namespace, .. } = &found.finding;
            asked.wants(namespace.as_deref(), Some(&workload(&found.finding)))
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
        |found| name(found, pods.all_namespaces),
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
        let ExitSignalLine {
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

/// `Deployment/crawler`; `Pod/web` of one that belongs to nothing. A report tells one or the other.
fn workload(finding: &ExitSignalLine) -> String {
    match (&finding.owner, &finding.pod) {
        (Some(owner), _) => owner.clone(),
        (None, Some(pod)) => format!("Pod/{pod}"),
        (None, None) => "<none>".to_owned(),
    }
}

fn name(found: &Found, namespaces: bool) -> String {
    let ExitSignalLine {
        namespace,
        pod,
        owner,
        ..
    } = &found.finding;
    // `explain` takes a pod; one of a workload is told by that alone.
    let name = match (pod, owner) {
        (Some(pod), _) => ("pod".to_owned(), pod.as_str()),
        (None, Some(owner)) => {
            let (kind, name) = owner.split_once('/').unwrap_or(("pod", owner));
            (kind.to_lowercase(), name)
        }
        (None, None) => return format!("node/{}", found.node),
    };
    match (namespace, name) {
        (Some(namespace), (kind, name)) if namespaces => format!("{kind}/{namespace}/{name}"),
        (_, (kind, name)) => format!("{kind}/{name}"),
    }
}

/// One row for a workload, on however many nodes its pods are.
fn table(found: &[Found], namespaces: bool, wide: bool) -> Table {
    let mut headers = Vec::new();
    if namespaces {
        headers.push("NAMESPACE");
    }
    headers.extend(["WORKLOAD", "CONTAINER", "SIGNAL", "VERDICT", "NODE"]);
    if wide {
        headers.push("PROCESS");
    }
    let mut table = Table::new(&headers);
    for rows in alike(found) {
        let Found { node, finding } = rows[0];
        let mut row = Vec::new();
        if namespaces {
            row.push(or_none(finding.namespace.as_deref()));
        }
        row.extend([
            workload(finding),
            finding.container.clone(),
            finding.signal.clone(),
            verdict(finding.verdict).to_owned(),
            match rows.len() {
                1 => node.clone(),
                nodes => plural(nodes as u64, "node", "nodes"),
            },
        ]);
        if wide {
            row.push(finding.process.clone());
        }
        table.row(row);
    }
    table
}

/// Findings of one workload and one kind, in the order of the first of each.
fn alike(found: &[Found]) -> Vec<Vec<&Found>> {
    let key = |found: &Found| {
        let ExitSignalLine {
            namespace,
            container,
            signal,
            verdict,
            ..
        } = &found.finding;
        let place = (
            namespace.clone(),
            workload(&found.finding),
            container.clone(),
        );
        (place, signal.clone(), *verdict)
    };
    let mut groups: Vec<Vec<&Found>> = Vec::new();
    for found in found {
        match groups.iter_mut().find(|group| key(group[0]) == key(found)) {
            Some(group) if found.finding.owner.is_some() => group.push(found),
            _ => groups.push(vec![found]),
        }
    }
    groups
}

fn verdict(verdict: Mark) -> &'static str {
    match verdict {
        Mark::Killed => "Killed",
        Mark::EndsUnheard => "EndsUnheard",
        Mark::Unknown => "Unknown",
        Mark::Ends => "Ends",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(node: &str, owner: Option<&str>, pod: Option<&str>) -> Found {
        Found {
            node: node.to_owned(),
            finding: ExitSignalLine {
                namespace: Some("shop".to_owned()),
                pod: pod.map(str::to_owned),
                container: "app".to_owned(),
                owner: owner.map(str::to_owned),
                process: "sh".to_owned(),
                signal: "SIGTERM".to_owned(),
                verdict: Mark::Killed,
            },
        }
    }

    #[test]
    fn a_workload_is_one_row_on_however_many_nodes_it_is() {
        let all = [
            found("n1", Some("Deployment/web"), None),
            found("n2", Some("Deployment/web"), None),
            found("n2", None, Some("bare")),
        ];
        let rows: Vec<usize> = alike(&all).iter().map(Vec::len).collect();
        assert_eq!(rows, [2, 1]);
        assert_eq!(name(&all[0], true), "deployment/shop/web");
        assert_eq!(name(&all[2], false), "pod/bare");
    }
}
