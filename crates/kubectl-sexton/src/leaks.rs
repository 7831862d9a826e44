//! `kubectl sexton leaks`: whose zombies, worst first.

use std::collections::BTreeSet;
use std::process::ExitCode;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde::Serialize;
use sexton_cluster::report::{LeakLine, Status};
use sexton_core::text::count;
use sexton_page::cluster::Within;

use crate::cli::{self, Connection};
use crate::connect::{Connected, connect};
use crate::error::{Error, Right};
use crate::nodes::outlook;
use crate::output::{self, List};
use crate::table::{Table, or_none};
use crate::{probes, seen};

/// A leak and its node; what `-o json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Where.
    pub node: String,
    /// What.
    #[serde(flatten)]
    pub leak: LeakLine,
}

/// Runs the command.
pub async fn run(args: cli::Leaks, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Leaks { pods, format } = args;
    let at = connect(connection).await?;
    let reports = seen::reports(&at).await?;
    let asked = Asked::new(&at, &pods).await?;
    let all = leaks(reports.iter().map(|(node, status)| (node.as_str(), status)));
    let total = all.len();
    let found: Vec<Found> = all
        .into_iter()
        .filter(|found| asked.wants(found.leak.namespace.as_deref(), found.leak.pod.as_deref()))
        .collect();
    if found.is_empty() && format.output.is_none() {
        eprintln!("{}", asked.nothing("leaks", total));
        return Ok(ExitCode::SUCCESS);
    }
    output::list(
        format,
        &List::new("LeakList", found.clone()),
        |wide| table(&found, pods.all_namespaces, wide),
        |found| name(found, pods.all_namespaces),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Which pods a command is about.
pub struct Asked {
    namespace: Option<String>,
    /// Namespace and name of pods and of what they belong to (`Deployment/web`), where labels say
    /// which.
    pods: Option<BTreeSet<(String, String)>>,
}

impl Asked {
    /// From the flags; labels are looked up.
    ///
    /// # Errors
    /// Pods cannot be listed.
    pub async fn new(at: &Connected, flags: &cli::Pods) -> Result<Self, Error> {
        let cli::Pods {
            all_namespaces,
            selector,
        } = flags;
        let namespace = (!all_namespaces).then(|| at.namespace.clone());
        let pods = match selector {
            Some(selector) => Some(labelled(at, namespace.as_deref(), selector).await?),
            None => None,
        };
        Ok(Self { namespace, pods })
    }

    /// Whether a pod, or what it belongs to, is meant. What belongs to no pod is of all namespaces together.
    pub fn wants(&self, namespace: Option<&str>, pod: Option<&str>) -> bool {
        let right = self.namespace.is_none() || self.namespace.as_deref() == namespace;
        let labelled = self.pods.as_ref().is_none_or(|pods| {
            let (namespace, pod) = (namespace.unwrap_or_default(), pod.unwrap_or_default());
            pods.contains(&(namespace.to_owned(), pod.to_owned()))
        });
        right && labelled
    }

    /// What is said when there are none of `what`, though in the cluster there are `total`.
    pub fn nothing(&self, what: &str, total: usize) -> String {
        let elsewhere = match total {
            0 => String::new(),
            n if self.namespace.is_some() => {
                format!(" There are {n} elsewhere: -A shows them all.")
            }
            n => format!(" There are {n} of other pods."),
        };
        match &self.namespace {
            Some(namespace) => format!("No {what} found in {namespace} namespace.{elsewhere}"),
            None => format!("No {what} found.{elsewhere}"),
        }
    }
}

async fn labelled(
    at: &Connected,
    namespace: Option<&str>,
    selector: &str,
) -> Result<BTreeSet<(String, String)>, Error> {
    let api: Api<Pod> = match namespace {
        Some(namespace) => Api::namespaced(at.client.clone(), namespace),
        None => Api::all(at.client.clone()),
    };
    let params = ListParams::default().labels(selector);
    let pods = seen::metadata(&api, &params)
        .await
        .map_err(Right::new("list", "", "pods").failed(&at.server))?;
    Ok(pods
        .into_iter()
        .filter_map(|meta| {
            let workload = probes::workload(&meta);
            let namespace = meta.namespace?;
            Some([(namespace.clone(), meta.name?), (namespace, workload)])
        })
        .flatten()
        .collect())
}

/// All leaks of these reports, in the order in which they need a person.
pub fn leaks<'a>(reports: impl Iterator<Item = (&'a str, &'a Status)>) -> Vec<Found> {
    let mut found: Vec<Found> = reports
        .flat_map(|(node, status)| {
            status.leaks.iter().map(|leak| Found {
                node: node.to_owned(),
                leak: leak.clone(),
            })
        })
        .collect();
    found.sort_by_cached_key(|found| {
        let within =
            outlook(found.leak.forecast.as_ref()).map_or(Within::Held, |outlook| outlook.within);
        (
            within,
            std::cmp::Reverse(found.leak.zombies),
            found.leak.namespace.clone(),
            found.leak.pod.clone(),
            found.node.clone(),
        )
    });
    found
}

/// By which `explain` and `reap` take it.
fn name(found: &Found, all_namespaces: bool) -> String {
    let LeakLine { namespace, pod, .. } = &found.leak;
    match (namespace, pod) {
        (Some(namespace), Some(pod)) if all_namespaces => format!("pod/{namespace}/{pod}"),
        (_, Some(pod)) => format!("pod/{pod}"),
        _ => format!("node/{}", found.node),
    }
}

/// The table of leaks.
pub fn table(found: &[Found], namespaces: bool, wide: bool) -> Table {
    let mut headers = Vec::new();
    if namespaces {
        headers.push("NAMESPACE");
    }
    headers.extend(["POD", "ZOMBIES", "FULL IN", "CAUSE", "NODE"]);
    if wide {
        headers.extend([
            "LIMIT",
            "CONTAINER",
            "HOLDER",
            "PID",
            "ENDED",
            "OWNER",
            "POLICY",
            "LAST STEP",
        ]);
    }
    let mut table = Table::new(&headers);
    for Found { node, leak } in found {
        let outlook = outlook(leak.forecast.as_ref());
        let mut row = Vec::new();
        if namespaces {
            row.push(or_none(leak.namespace.as_deref()));
        }
        row.extend([
            or_none(leak.pod.as_deref()),
            count(leak.zombies),
            outlook.map(|o| o.within.to_string()).unwrap_or_default(),
            or_none(leak.cause.as_deref()),
            node.clone(),
        ]);
        if wide {
            row.extend([
                or_none(outlook.map(|o| o.limit.name())),
                or_none(leak.container.as_deref()),
                leak.holder.clone(),
                leak.pid.to_string(),
                or_none(leak.command.as_deref()),
                or_none(leak.owner.as_deref()),
                policy(leak),
                step(leak).unwrap_or_default(),
            ]);
        }
        table.row(row);
    }
    table
}

fn policy(leak: &LeakLine) -> String {
    if leak.protected {
        return "(protected)".to_owned();
    }
    or_none(leak.policy.as_deref())
}

/// `reap succeeded`.
pub fn step(leak: &LeakLine) -> Option<String> {
    let step = leak.step.as_ref()?;
    let outcome = match step.outcome.as_str() {
        "dryRun" => "dry run",
        other => other,
    };
    Some(format!("{} {outcome}", step.rung))
}
