//! `kubectl sexton status`: the cluster at a glance.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use sexton_cluster::report::Status;
use sexton_core::text::{count, plural, safe};

use crate::cli::{self, Connection};
use crate::connect::connect;
use crate::error::Error;
use crate::leaks::{self, Found};
use crate::nodes;
use crate::output::{self, One};
use crate::policy::{Stored, stored, tally};
use crate::seen::{self, Seen, SeenNode};
use crate::table::Table;

/// Worth a look at a glance.
const SHOWN: usize = 5;

/// What `-o json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Glance {
    /// What people call the cluster.
    cluster: String,
    /// How many nodes.
    nodes: u64,
    /// Of how many the agent runs and is ready.
    ready: u64,
    /// The others, and why.
    not_ready: Vec<Blind>,
    /// Zombies of all nodes; at least so many, since reports round down.
    zombies: u64,
    /// Holders of them.
    leaks: u64,
    /// Nodes that have any.
    nodes_with_zombies: u64,
    /// Leaks for which a limit is forecast.
    forecasts: u64,
    /// Containers that will not end on their stop signal.
    exit_signals: u64,
    /// How many policies there are.
    policies: u64,
    /// Nodes that refuse one of them.
    refusing: u64,
    /// The leaks, the most urgent first.
    worst: Vec<Found>,
    /// What could not be seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<String>,
}

/// A node of which too little is known.
#[derive(Serialize)]
struct Blind {
    node: String,
    state: &'static str,
    message: String,
}

/// Runs the command.
pub async fn run(args: cli::Status, connection: &Connection) -> Result<ExitCode, Error> {
    let at = connect(connection).await?;
    let mut seen = seen::look(&at, None).await?;
    seen.nodes.sort_by_cached_key(nodes::urgency);
    // Without the right to list them, what the reports say of them has to do.
    let stored = stored(&at).await.unwrap_or_default();
    let glance = glance(at.name, seen, &stored);
    match args.output {
        Some(format) => output::document(format, &One::new("ClusterStatus", &glance))?,
        None => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            draw(&mut out, &glance)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn glance(cluster: String, seen: Seen, stored: &[Stored]) -> Glance {
    let Seen { nodes, gaps } = seen;
    let statuses = || nodes.iter().filter_map(|node| node.status.as_ref());
    let sum = |of: fn(&Status) -> u64| statuses().map(of).sum();
    let worst = leaks::leaks(
        nodes
            .iter()
            .filter_map(|node| Some((node.name.as_str(), node.status.as_ref()?))),
    );
    let reports = nodes
        .iter()
        .filter_map(|node| Some((node.name.clone(), node.status.clone()?)))
        .collect();
    let policies = tally(&reports, stored);
    let refusing: BTreeSet<&String> = policies
        .iter()
        .flat_map(|tally| &tally.refused)
        .flat_map(|remark| &remark.nodes)
        .collect();
    Glance {
        cluster,
        policies: len(&policies),
        refusing: refusing.len() as u64,
        nodes: len(&nodes),
        ready: nodes.iter().filter(|n| n.state.why().is_none()).count() as u64,
        not_ready: nodes.iter().filter_map(blind).collect(),
        zombies: sum(|status| status.zombies),
        leaks: sum(|status| status.leak_count),
        nodes_with_zombies: statuses().filter(|status| status.zombies > 0).count() as u64,
        forecasts: worst
            .iter()
            .filter(|found| found.leak.forecast.is_some())
            .count() as u64,
        exit_signals: sum(|status| status.exit_signal_count),
        worst,
        gaps,
    }
}

fn blind(node: &SeenNode) -> Option<Blind> {
    Some(Blind {
        node: node.name.clone(),
        state: node.state.word(),
        message: node.state.why()?.to_owned(),
    })
}

fn len<T>(items: &[T]) -> u64 {
    items.len() as u64
}

fn draw(out: &mut impl Write, glance: &Glance) -> io::Result<()> {
    let Glance {
        cluster,
        nodes,
        ready,
        not_ready,
        zombies,
        leaks,
        nodes_with_zombies,
        forecasts,
        exit_signals,
        policies,
        refusing,
        worst,
        gaps,
    } = glance;
    let mut field = |name: &str, value: &str| writeln!(out, "{name:<15}{}", safe(value));
    field("Cluster:", cluster)?;
    field(
        "Nodes:",
        &format!(
            "{}, {} with a ready agent",
            plural(*nodes, "node", "nodes"),
            count(*ready)
        ),
    )?;
    field(
        "Zombies:",
        &match zombies {
            0 => "none".to_owned(),
            n => format!(
                "{} or more, of {} on {}",
                count(*n),
                plural(*leaks, "holder", "holders"),
                plural(*nodes_with_zombies, "node", "nodes")
            ),
        },
    )?;
    field(
        "Forecasts:",
        &match forecasts {
            0 => "no limit is coming near".to_owned(),
            n => format!("{} on the way to a limit", plural(*n, "leak", "leaks")),
        },
    )?;
    field(
        "Exit signals:",
        &match exit_signals {
            0 => "no container is known that will not end on its stop signal".to_owned(),
            1 => "1 container will not end on its stop signal".to_owned(),
            n => format!("{} containers will not end on their stop signal", count(*n)),
        },
    )?;
    field(
        "Policies:",
        &match (policies, refusing) {
            (0, _) => "none: the agents observe and never act".to_owned(),
            (n, 0) => format!("{}, refused by no node", count(*n)),
            (n, refusing) => format!(
                "{}, refused by {}: kubectl sexton policy",
                count(*n),
                plural(*refusing, "node", "nodes")
            ),
        },
    )?;
    if !worst.is_empty() {
        writeln!(out, "\nWorst leaks:")?;
        let shown = &worst[..worst.len().min(SHOWN)];
        leaks::table(shown, true, false).write(out, true, "  ")?;
        if worst.len() > SHOWN {
            let more = worst.len() - SHOWN;
            writeln!(out, "  and {more} more: kubectl sexton leaks -A")?;
        }
    }
    if !not_ready.is_empty() {
        writeln!(out, "\nAgents that do not do their work:")?;
        let mut table = Table::new(&["NODE", "STATUS", "MESSAGE"]);
        for blind in not_ready.iter().take(SHOWN) {
            let Blind {
                node,
                state,
                message,
            } = blind;
            table.row(vec![node.clone(), (*state).to_owned(), message.clone()]);
        }
        table.write(out, true, "  ")?;
        if not_ready.len() > SHOWN {
            let more = not_ready.len() - SHOWN;
            writeln!(out, "  and {more} more: kubectl sexton nodes -o wide")?;
        }
    }
    for gap in gaps {
        writeln!(out, "\nNote: {}", safe(gap))?;
    }
    Ok(())
}
