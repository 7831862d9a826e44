//! `kubectl sexton policy`: what the nodes make of the policies, and what a policy would do.

mod explain;
mod tally;

use std::io::{self, Write};
use std::process::ExitCode;

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use sexton_cluster::crd::ReapPolicy;
use sexton_core::policy::{Mode, Policy, PolicySpec};
use sexton_core::text::{count, plural, safe};

use crate::cli::{self, Connection, Format, PolicyCommand};
use crate::connect::{Connected, connect};
use crate::error::{Error, GROUP, Right};
use crate::output::{self, List};
use crate::seen;
use crate::table::Table;

pub use tally::{Remark, Tally, tally};

/// Runs the command.
pub async fn run(args: cli::Policy, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Policy { command, format } = args;
    match command {
        None => show(format, connection).await,
        Some(PolicyCommand::Check(args)) => check(&args),
        Some(PolicyCommand::Explain(args)) => explain::run(args, connection).await,
    }
}

async fn show(format: Format, connection: &Connection) -> Result<ExitCode, Error> {
    let at = connect(connection).await?;
    let reports = seen::reports(&at).await?;
    let stored = match stored(&at).await {
        Ok(stored) => stored,
        Err(error) => {
            eprintln!("{}", output::safe_lines(&error.to_string()));
            eprintln!("What follows is from the reports alone.");
            Vec::new()
        }
    };
    let tallies = tally(&reports, &stored);
    if tallies.is_empty() && format.output.is_none() {
        eprintln!("No policies found: the agents observe and never act.");
        return Ok(ExitCode::SUCCESS);
    }
    output::list(
        format,
        &List::new("PolicyTallyList", tallies.clone()),
        |_| table(&tallies),
        |tally| format!("reappolicy.{GROUP}/{}", tally.name),
    )?;
    let people = matches!(format.output, None | Some(cli::Output::Wide));
    if people && !format.no_headers {
        remarks(&tallies)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(tallies: &[Tally]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "MODE",
        "GENERATION",
        "FOLLOWED",
        "BEHIND",
        "REFUSED",
        "LIMITED",
    ]);
    let nodes = |remarks: &[Remark]| -> u64 {
        remarks.iter().map(|remark| remark.nodes.len() as u64).sum()
    };
    for tally in tallies {
        let refused = nodes(&tally.refused);
        let behind = tally.behind.len() as u64;
        table.row(vec![
            tally.name.clone(),
            mode(tally.mode).to_owned(),
            tally
                .generation
                .map_or_else(|| "(files)".to_owned(), |n| n.to_string()),
            format!(
                "{}/{}",
                count(tally.following),
                count(tally.following + behind + refused)
            ),
            count(behind),
            count(refused),
            count(nodes(&tally.limited)),
        ]);
    }
    table
}

/// Why nodes refuse or limit a policy, below the table.
fn remarks(tallies: &[Tally]) -> Result<(), Error> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut first = true;
    for tally in tallies {
        let refused = tally.refused.iter().map(|r| ("is refused by", r));
        let limited = tally.limited.iter().map(|r| ("is limited on", r));
        for (how, remark) in refused.chain(limited) {
            if std::mem::take(&mut first) {
                writeln!(out)?;
            }
            let nodes = plural(remark.nodes.len() as u64, "node", "nodes");
            let example = remark.nodes.first().map_or("", String::as_str);
            let message = format!(
                "{} {how} {nodes} ({example}{}): {}",
                tally.name,
                if remark.nodes.len() > 1 { ", …" } else { "" },
                remark.message
            );
            writeln!(out, "{}", safe(&message))?;
        }
    }
    Ok(out.flush()?)
}

/// A policy as the API server has it.
pub struct Stored {
    pub name: String,
    pub generation: Option<i64>,
    /// What it says; or why that cannot be read.
    pub spec: Result<PolicySpec, String>,
}

impl Stored {
    /// As the rules of `core` take it.
    pub fn policy(&self) -> Option<Policy> {
        let spec = self.spec.as_ref().ok()?;
        Some(Policy::new(&self.name, spec.clone()))
    }
}

/// All policies of the cluster. One that this version cannot read spoils no other.
pub async fn stored(at: &Connected) -> Result<Vec<Stored>, Error> {
    let resource = ApiResource::erase::<ReapPolicy>(&());
    let api: Api<DynamicObject> = Api::all_with(at.client.clone(), &resource);
    let found = seen::all(&api, &ListParams::default())
        .await
        .map_err(Right::new("list", GROUP, "reappolicies").failed(&at.server))?;
    let stored = found.into_iter().filter_map(|object| {
        let spec = object.data.get("spec").cloned();
        let spec = spec.unwrap_or_else(|| serde_json::json!({}));
        Some(Stored {
            name: object.metadata.name?,
            generation: object.metadata.generation,
            spec: serde_json::from_value(spec).map_err(|error| error.to_string()),
        })
    });
    Ok(stored.collect())
}

/// The same as `sexton policy check`, on a laptop.
fn check(args: &cli::PolicyCheck) -> Result<ExitCode, Error> {
    let cli::PolicyCheck { files, output } = args;
    let checked = sexton_policyfile::check(files);
    match output {
        Some(format) => output::document(*format, &checked)?,
        None => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            for problem in &checked.problems {
                writeln!(out, "{}", safe(&problem.to_string()))?;
            }
            for policy in &checked.policies {
                writeln!(out, "{}", safe(&policy.to_string()))?;
            }
            writeln!(out, "{}", checked.verdict())?;
            out.flush()?;
        }
    }
    Ok(ExitCode::from(u8::from(!checked.problems.is_empty())))
}

/// As the document has it.
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "dryRun",
        Mode::Enforce => "enforce",
    }
}
