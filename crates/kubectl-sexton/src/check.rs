//! `kubectl sexton check`: what of Sexton works in this cluster, what does not, and what to do
//! about it. The node's is `sexton doctor`.

mod agents;
mod alerts;
mod placement;
mod rights;
mod server;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::api::{Api, ListParams};
use sexton_cluster::report::Status as Report;
use sexton_core::check::{Check, Document, Status};
use sexton_core::text::{plural, safe};

use crate::cli::{self, Connection};
use crate::connect::{Connected, connect};
use crate::error::Error;
use crate::output::{self, hanging, width};
use crate::policy::{Remark, stored, tally};
use crate::seen::{self, AGENTS};

/// Nodes that a line names.
const NAMED: usize = 10;

/// Runs the command; see its `--help` for the exit status.
pub async fn run(args: cli::Check, connection: &Connection) -> Result<ExitCode, Error> {
    let at = connect(connection).await?;
    let document = Document::new("ClusterCheck", env!("CARGO_PKG_VERSION"), checks(&at).await);
    match args.output {
        Some(format) => output::document(format, &document)?,
        None => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            draw(&mut out, &document, width())?;
            out.flush()?;
        }
    }
    Ok(ExitCode::from(document.status.exit()))
}

async fn checks(at: &Connected) -> Vec<Check> {
    let version = match at.client.apiserver_version().await {
        Ok(version) => version,
        Err(error) => {
            let advice = "Check the kubeconfig, the context and the network: kubectl version.";
            let found = format!("{} does not answer: {error}", at.server);
            // Nothing else can be asked.
            return vec![Check::failed("API server", found, advice)];
        }
    };
    let found = format!("{} is Kubernetes {}", at.server, version.git_version);
    let mut checks = vec![Check::ok("API server", found)];
    checks.extend(rights::checks(at).await);
    checks.extend(server::custom_resources(at).await);
    let reports = match seen::report_objects(at).await {
        Ok(reports) => reports,
        Err(error) => {
            checks.push(unread("reports", &error));
            Vec::new()
        }
    };
    let statuses = seen::statuses(&reports);
    let sets: Api<DaemonSet> = Api::namespaced(at.client.clone(), &at.agent_namespace);
    match seen::all(&sets, &ListParams::default().labels(AGENTS)).await {
        Ok(sets) if sets.is_empty() => checks.push(not_installed(at)),
        Ok(sets) => {
            checks.extend(agents::checks(at, &sets, &statuses).await);
            checks.push(server::impersonation(at, &sets, &reports, &version).await);
            checks.extend(server::admission(at, &sets).await);
        }
        Err(error) => {
            let advice = "Ask for the right to list daemonsets and pods in that namespace.";
            let found = format!(
                "cannot be seen in namespace {}: {error}",
                at.agent_namespace
            );
            checks.push(Check::warning("agents", found, advice));
        }
    }
    checks.extend(versions(&statuses));
    checks.extend(policies(at, &statuses).await);
    checks.extend(alerts::checks(at).await);
    checks
}

fn not_installed(at: &Connected) -> Check {
    let found = format!(
        "there is no DaemonSet with the label {AGENTS} in namespace {}",
        at.agent_namespace
    );
    let advice =
        "Install the chart (docs/kubernetes.md), or name the namespace: --agent-namespace.";
    Check::failed("agents", found, advice)
}

/// What may not be read is not known; the rights' own checks say what it takes.
fn unread(name: &str, error: &dyn std::fmt::Display) -> Check {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let advice = "Run this command as a user who may read it.";
    Check::warning(name, format!("not known: {first}"), advice)
}

/// Agents of several versions tell of different things.
fn versions(reports: &BTreeMap<String, Report>) -> Vec<Check> {
    const NAME: &str = "versions";
    let own = env!("CARGO_PKG_VERSION");
    let mut by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, report) in reports {
        by.entry(&report.agent_version).or_default().push(node);
    }
    if by.is_empty() {
        return vec![];
    }
    let other = by.iter().filter(|(version, _)| **version != own);
    let mut checks: Vec<Check> = other
        .map(|(version, nodes)| {
            let found = format!(
                "the agent of {} is {version}, this plugin is {own}",
                names(nodes)
            );
            let advice = "Upgrade the chart and this plugin to one version. While an upgrade runs, \
                          wait until every agent is new.";
            Check::warning(NAME, found, advice)
        })
        .collect();
    if checks.is_empty() {
        let found = format!("the agents and this plugin are {own}");
        checks.push(Check::ok(NAME, found));
    }
    checks
}

async fn policies(at: &Connected, reports: &BTreeMap<String, Report>) -> Vec<Check> {
    const NAME: &str = "policies";
    let stored = match stored(at).await {
        Ok(stored) => stored,
        Err(error) => return vec![unread(NAME, &error)],
    };
    let tallies = tally(reports, &stored);
    let mut checks = Vec::new();
    for policy in &tallies {
        let name = &policy.name;
        let of = |how: &str, remark: &Remark| {
            format!("{name} {how} {}: {}", names(&remark.nodes), remark.message)
        };
        for remark in &policy.refused {
            let advice = "Mend the policy: kubectl sexton policy check FILE.";
            checks.push(Check::failed(NAME, of("is refused by", remark), advice));
        }
        for remark in &policy.limited {
            let advice = "Make possible on these nodes what the policy asks for, or ask for less.";
            checks.push(Check::warning(NAME, of("is limited on", remark), advice));
        }
        if !policy.behind.is_empty() {
            let found = format!("{name} is not yet followed by {}", names(&policy.behind));
            let advice = "Wait a minute. If it stays so, see whether the agents there are ready.";
            checks.push(Check::warning(NAME, found, advice));
        }
    }
    if checks.is_empty() {
        let found = match tallies.len() {
            0 => "there are none: the agents observe and never act".to_owned(),
            1 => "1, followed by all nodes that report".to_owned(),
            n => format!("{n}, each followed by all nodes that report"),
        };
        checks.push(Check::ok(NAME, found));
    }
    checks
}

/// How many nodes, and their names.
fn names<T: AsRef<str>>(nodes: &[T]) -> String {
    let named: Vec<&str> = nodes.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = if nodes.len() > NAMED { ", …" } else { "" };
    let nodes = plural(nodes.len() as u64, "node", "nodes");
    format!("{nodes} ({}{more})", named.join(", "))
}

fn draw(out: &mut impl Write, document: &Document, width: usize) -> io::Result<()> {
    let mut lines = |text: &str, indent| {
        let text = safe(text);
        hanging(&text, indent, width)
            .into_iter()
            .try_for_each(|line| writeln!(out, "{line}"))
    };
    for check in &document.checks {
        let mark = check.status.mark();
        lines(&format!("{mark:<9}{}: {}", check.name, check.found), 9)?;
        if let Some(advice) = &check.advice {
            lines(&format!("{:9}→ {advice}", ""), 11)?;
        }
    }
    let verdict = match document.status {
        Status::Ok => "Sexton works in this cluster.",
        Status::Warning => {
            "What the warnings name does not work in this cluster, or could not be checked; the \
             rest does."
        }
        Status::Failed => "Sexton does not work in this cluster as it should.",
    };
    writeln!(out)?;
    writeln!(out, "{verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_of_other_versions_are_named() {
        let report = |version: &str| Report {
            agent_version: version.to_owned(),
            ..Report::default()
        };
        let own = env!("CARGO_PKG_VERSION");
        let of = |all: &[(&str, &str)]| {
            let all = all.iter();
            versions(&all.map(|(n, v)| ((*n).to_owned(), report(v))).collect())
        };
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[("a", own), ("b", own)])[0].status, Status::Ok);
        let mixed = of(&[("a", own), ("b", "0.0.1"), ("c", "0.0.1")]);
        assert_eq!((mixed.len(), mixed[0].status), (1, Status::Warning));
        assert!(
            mixed[0].found.contains("2 nodes (b, c) is 0.0.1"),
            "{mixed:?}"
        );
    }

    #[test]
    fn a_long_list_of_nodes_is_cut_and_counted() {
        let nodes: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
        assert!(names(&nodes).starts_with("12 nodes (n0, n1"));
        assert!(names(&nodes).ends_with("n9, …)"));
        assert_eq!(names(&["a"]), "1 node (a)");
    }

    #[test]
    fn what_a_server_quotes_steers_no_terminal() {
        let check = Check::failed("image", "\x1b[2J", "Wait.");
        let document = Document::new("ClusterCheck", "0", vec![check]);
        let mut out = Vec::new();
        draw(&mut out, &document, 80).unwrap();
        let drawn = String::from_utf8(out).unwrap();
        assert!(
            drawn.starts_with("FAILED   image: \\x1b[2J\n         → Wait.\n"),
            "{drawn}"
        );
    }
}
