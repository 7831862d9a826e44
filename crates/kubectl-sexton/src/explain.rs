//! `kubectl sexton explain`: why a pod's zombies stay.
//!
//! The agent of the node looks and tells. Where the caller may not run anything there, what the
//! report says and what is known of its cause is told instead.

use std::io::{self, Write};
use std::process::ExitCode;

use sexton_cluster::report::LeakLine;
use sexton_core::cause::{self, Entry, entries};
use sexton_core::text::{count, plural, safe};

use crate::cli::{self, Connection, Document};
use crate::connect::{Connected, connect};
use crate::error::Error;
use crate::leaks::step;
use crate::nodes::outlook;
use crate::output::{self, List};
use crate::pod::{self, Placed};
use crate::{remote, seen};

/// Runs the command; the exit status is that of `sexton explain`: 1 where there are no zombies.
pub async fn run(args: cli::Explain, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Explain {
        pod: named,
        container,
        output,
        rest,
    } = args;
    let at = connect(connection).await?;
    let placed = pod::find(&at, &named, container.as_deref()).await?;
    let mut command = vec!["explain".to_owned(), placed.target.clone()];
    command.extend(rest);
    match on_node(&at, &placed, command, output).await {
        Ok(status) => Ok(ExitCode::from(status)),
        Err(why) => {
            let report = seen::report(&at, &placed.node).await;
            // What stands in the way of the better answer is told first.
            eprintln!("{}", output::safe_lines(&why.to_string()));
            let Some(status) = report? else {
                return Err(Error::Usage(format!(
                    "node {} has no report either",
                    placed.node
                )));
            };
            eprintln!("What follows is from the report of node {}.\n", placed.node);
            let leaks: Vec<LeakLine> = status
                .leaks
                .into_iter()
                .filter(|leak| {
                    leak.namespace.as_ref() == Some(&placed.namespace)
                        && leak.pod.as_ref() == Some(&placed.name)
                        && (container.is_none() || leak.container == container)
                })
                .collect();
            from_report(&placed, &leaks, output)?;
            Ok(ExitCode::from(u8::from(leaks.is_empty())))
        }
    }
}

/// Runs a command of the agent that knows `-o json`, and prints what it does.
///
/// # Errors
/// It cannot be run.
pub async fn on_node(
    at: &Connected,
    placed: &Placed,
    mut command: Vec<String>,
    output: Option<Document>,
) -> Result<u8, Error> {
    let agent = remote::agent(at, &placed.node).await?;
    match output {
        None => return agent.run(at, &command, Some(placed.legend())).await,
        Some(_) => command.push("--output=json".to_owned()),
    }
    if output == Some(Document::Json) {
        return agent.run(at, &command, None).await;
    }
    let (status, json) = agent.output(at, &command).await?;
    if !json.is_empty() {
        output::document(
            Document::Yaml,
            &serde_json::from_slice::<serde_json::Value>(&json)?,
        )?;
    }
    Ok(status)
}

fn from_report(placed: &Placed, leaks: &[LeakLine], output: Option<Document>) -> Result<(), Error> {
    if let Some(format) = output {
        return output::document(format, &List::new("LeakList", leaks.to_vec()));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let width = output::width();
    if leaks.is_empty() {
        writeln!(out, "Pod {placed} holds no zombies.")?;
    }
    for leak in leaks {
        for (indent, line) in words(placed, leak) {
            for line in output::hanging(&safe(&line), indent, width) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(out.flush()?)
}

/// All that a report and the knowledge base say of a leak: lines, and how far to the right what
/// does not fit goes on.
fn words(placed: &Placed, leak: &LeakLine) -> Vec<(usize, String)> {
    let container = leak.container.as_deref().unwrap_or("");
    let mut lines = vec![(
        0,
        format!(
            "{} or more of {} (pid {}), {placed} {container}",
            plural(leak.zombies, "zombie", "zombies"),
            leak.holder,
            leak.pid
        ),
    )];
    let mut field = |name: &str, value: String| lines.push((12, format!("  {name:<10}{value}")));
    if let Some(command) = &leak.command {
        field("ended", format!("mostly {command}"));
    }
    if let Some(owner) = &leak.owner {
        field("owner", owner.clone());
    }
    if leak.protected {
        field("protected", "Sexton never touches it".to_owned());
    }
    if let Some(outlook) = outlook(leak.forecast.as_ref()) {
        let limit = outlook.limit.name();
        field("forecast", format!("{limit} {}", within(outlook.within)));
    }
    if let Some(policy) = &leak.policy {
        field("policy", policy.clone());
    }
    if let Some(step) = step(leak) {
        field("last step", step);
    }
    let entry = |id: &String| entries().iter().find(|entry| entry.id == id);
    match &leak.cause {
        None => field("cause", "the agent has not looked into it yet".to_owned()),
        Some(id) => match entry(id) {
            None => field("cause", format!("{id}, which this plugin does not know of")),
            Some(entry) => {
                field("cause", entry.title.to_owned());
                field("", entry.id.to_owned());
                lines.extend(known(placed, leak, entry));
            }
        },
    }
    lines
}

/// What to do about a cause.
fn known(placed: &Placed, leak: &LeakLine, entry: &Entry) -> Vec<(usize, String)> {
    let fill = |template: &&str| {
        cause::fill_with(template, |name| match name {
            "reap" => (!leak.protected).then(|| format!("kubectl sexton reap {placed} --yes")),
            "pid" | "target" => Some(leak.pid.to_string()),
            "holder" => Some(format!("{} (pid {})", leak.holder, leak.pid)),
            "zombies" => Some(count(leak.zombies)),
            "ended" => leak.command.clone(),
            _ => None,
        })
    };
    let mut lines = vec![(0, String::new()), (0, "Now".to_owned())];
    let steps = entry.now.iter().filter_map(fill).enumerate();
    lines.extend(steps.map(|(i, step)| (9, format!("      {}. {step}", i + 1))));
    let cure = fill(&entry.cure.text).unwrap_or_else(|| entry.cure.text.to_owned());
    lines.extend([
        (0, String::new()),
        (0, "Cure".to_owned()),
        (6, format!("      {cure}")),
    ]);
    if let Some(code) = entry.cure.code {
        lines.push((0, String::new()));
        let code = code.trim_end().lines();
        // Code is never broken.
        lines.extend(code.map(|line| {
            (
                usize::MAX,
                format!("          {}", line.replace('\t', "    ")),
            )
        }));
    }
    lines
}

fn within(within: sexton_page::cluster::Within) -> String {
    match within {
        sexton_page::cluster::Within::Reached => "is reached: fork fails".to_owned(),
        sexton_page::cluster::Within::Held => {
            "is not reached while the policies hold the leak".to_owned()
        }
        soon => format!("is reached within {soon}"),
    }
}
