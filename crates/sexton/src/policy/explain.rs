//! `sexton policy explain`: which policy would do what to a leak, and why.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;
use sexton_core::ladder::{Decision, History, Now, Rung, decide};
use sexton_core::policy::{Mode, Policy, Specificity, Subject, Tie, choose, verdicts};
use sexton_core::{Container, Holder, Leak, Workload};
use sexton_policyfile::{Loaded, Problem, Summary, load};
use sexton_runtime::Runtimes;
use sexton_scan::Scanner;

use crate::cli::{self, Output};
use crate::clock::now;
use crate::error::Error;
use crate::evidence::{Means, gather, switched_off};
use crate::identity;
use crate::node::{Roots, scanner};
use crate::output::lines::Lines;
use crate::output::{self, GOOD, HEADING, WARN, leak, text};
use crate::target::{self, Meant, Target};

/// What `-o json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Always `sexton.dev/v1alpha1`.
    api_version: &'static str,
    /// Always `PolicyExplanation`.
    kind: &'static str,
    /// One entry a leak of the target.
    leaks: Vec<Entry>,
}

/// One leak, and what the policies say of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The process that ought to wait.
    holder: Holder,
    /// Its container; absent for a process of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container>,
    /// How many zombies.
    zombies: u64,
    /// The policy that holds; absent where none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<Summary>,
    /// Why none holds though some cover the leak.
    #[serde(skip_serializing_if = "Option::is_none")]
    tie: Option<String>,
    /// What each policy says, the narrowest first.
    verdicts: Vec<PolicyVerdict>,
    /// How many have been dead for the policy's settle time.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<u64>,
    /// Use of the limit that the holder reaches first, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_used_percent: Option<u8>,
    /// What would be done now if nothing had been done before; absent where no policy holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<Next>,
}

/// What one policy says of a leak.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyVerdict {
    /// Its name.
    policy: String,
    /// How narrowly it covers the leak; absent where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    specificity: Option<Specificity>,
    /// In words.
    why: String,
}

/// What the ladder decides.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// Whether it acts.
    action: Action,
    /// Which step, where one would be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<Rung>,
    /// In how many seconds it may be different, where something is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_seconds: Option<u64>,
    /// Why, in one sentence.
    reason: String,
}

/// Whether the ladder acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Action {
    /// It takes a step; in a dry run it only says so.
    Act,
    /// Not yet.
    Wait,
    /// Not at all as things are.
    Nothing,
}

impl Next {
    fn of(decision: Decision, now: Now) -> Self {
        match decision {
            Decision::Act { rung, reason } => Self {
                action: Action::Act,
                rung: Some(rung),
                wait_seconds: None,
                reason: reason.to_string(),
            },
            Decision::Wait { until, reason } => Self {
                action: Action::Wait,
                rung: None,
                wait_seconds: Some(until.saturating_sub(now.uptime).as_secs()),
                reason: reason.to_string(),
            },
            Decision::Nothing { reason } => Self {
                action: Action::Nothing,
                rung: None,
                wait_seconds: None,
                reason: reason.to_string(),
            },
        }
    }
}

/// Runs the command.
pub fn run(args: cli::PolicyExplain, paths: Roots) -> Result<ExitCode, Error> {
    let cli::PolicyExplain {
        target,
        policy,
        output,
    } = args;
    let named: Target = target.parse()?;
    let loaded = load_or_tell(&policy)?;
    let mut scanner = scanner(paths)?;
    let mut report = scanner.scan(&sexton_scan::Options::default())?;
    let mut meant = Meant::one(&mut scanner, &named, Some(&report))?;
    target::keep(&mut scanner, &mut report, std::slice::from_mut(&mut meant))?;
    // Labels and the names of containers are theirs to tell; one that is away costs only these.
    let mut runtimes = Runtimes::find(&scanner.roots().host.clone(), &[]);
    runtimes.refresh();
    let now = now();
    let mut leaks = Vec::new();
    for leak in &report.leaks {
        let workload = leak.container.as_ref().and_then(|container| {
            identity::workload_of(&scanner, container, |id| runtimes.by_id(id))
        });
        leaks.push(judge(&mut scanner, leak, workload, &loaded, now)?);
    }
    let document = Document {
        api_version: sexton_core::policy::API_VERSION,
        kind: "PolicyExplanation",
        leaks,
    };
    match output {
        Output::Json => output::json(&document)?,
        Output::Text => draw(&document, &meant)?,
    }
    Ok(ExitCode::from(u8::from(document.leaks.is_empty())))
}

/// The policies, or all that is wrong with them on standard error.
fn load_or_tell(paths: &[PathBuf]) -> Result<Vec<Loaded>, Error> {
    load(paths).map_err(|problems: Vec<Problem>| {
        for problem in &problems {
            anstream::eprintln!("{}", text::safe(&problem.to_string()));
        }
        Error::Policies
    })
}

fn judge(
    scanner: &mut Scanner,
    leak: &Leak,
    workload: Option<&Workload>,
    loaded: &[Loaded],
    now: Now,
) -> Result<Entry, Error> {
    let policies: Vec<Policy> = loaded.iter().map(|l| l.policy.clone()).collect();
    let subject = Subject::of(leak, workload);
    let chosen = choose(&policies, &subject);
    let holds = chosen.as_ref().ok().copied().flatten();
    let mut entry = Entry {
        holder: leak.holder.clone(),
        container: leak.container.clone(),
        zombies: leak.zombies,
        policy: loaded
            .iter()
            .find(|l| holds.is_some_and(|policy| policy.name() == l.policy.name()))
            .map(Summary::from),
        tie: chosen.as_ref().err().map(Tie::to_string),
        verdicts: verdicts(&policies, &subject)
            .into_iter()
            .map(|verdict| PolicyVerdict {
                policy: verdict.policy.name().to_owned(),
                specificity: verdict.covers.as_ref().ok().copied(),
                why: match verdict.covers {
                    Ok(specificity) => specificity.to_string(),
                    Err(miss) => miss.to_string(),
                },
            })
            .collect(),
        settled: None,
        limit_used_percent: None,
        decision: None,
    };
    if let Some(policy) = holds {
        let limits = sexton_scan::limits::of_process(scanner, leak.holder.id.pid)?;
        let limits = limits.unwrap_or_default();
        // As an agent without further rights would see it.
        let means = Means {
            no_restart: None,
            no_eviction: Some(switched_off("eviction is not switched on here")),
        };
        let (found, _) = gather(scanner, leak, workload, &policy.spec, &limits, &means)?;
        entry.settled = Some(found.settled);
        entry.limit_used_percent = found.limit_used_percent;
        let decision = decide(&found, &policy.spec, &History::default(), now);
        entry.decision = Some(Next::of(decision, now));
    }
    Ok(entry)
}

fn draw(document: &Document, meant: &Meant) -> io::Result<()> {
    let mut lines = Lines::new(output::stdout());
    if document.leaks.is_empty() {
        lines.line(
            anstyle::Style::new(),
            &format!("{} holds no zombies.", meant.subject()),
        )?;
    }
    for entry in &document.leaks {
        draw_entry(&mut lines, entry)?;
    }
    lines.out.flush()
}

fn draw_entry<W: Write>(lines: &mut Lines<W>, entry: &Entry) -> io::Result<()> {
    let zombies = text::plural(entry.zombies, "zombie", "zombies");
    let Holder { name, id, .. } = &entry.holder;
    let place = leak::place(entry.container.as_ref());
    lines.line(
        HEADING,
        &format!("{zombies} of {name} (pid {}), {place}", id.pid),
    )?;
    match (&entry.policy, &entry.tie) {
        (Some(policy), _) => lines.field("policy", &policy.to_string())?,
        (None, Some(tie)) => lines.hanging(12, "  policy", WARN, &format!("none: {tie}"))?,
        (None, None) => lines.field("policy", "none covers it: it is only watched")?,
    }
    let holds = entry.policy.as_ref().map(|policy| policy.name.as_str());
    let mut mark = "others";
    for verdict in &entry.verdicts {
        let PolicyVerdict {
            policy,
            specificity,
            why,
        } = verdict;
        if holds == Some(policy) {
            lines.field("because", &format!("it {why}"))?;
            continue;
        }
        let said = match specificity {
            Some(_) if entry.tie.is_some() => format!("{policy} covers it and {why}"),
            Some(_) => format!("{policy} covers it too and {why}, which is less"),
            None => format!("{policy} does not cover it: {why}"),
        };
        lines.field(mark, &said)?;
        mark = "";
    }
    let Some(next) = &entry.decision else {
        return Ok(());
    };
    if let Some(settled) = entry.settled {
        let used = entry.limit_used_percent.map_or(String::new(), |percent| {
            format!(", {percent}% of its first limit used")
        });
        lines.field("settled", &format!("{}{used}", text::count(settled)))?;
    }
    let dry = entry
        .policy
        .as_ref()
        .is_some_and(|policy| policy.mode == Mode::DryRun);
    match (next.action, next.rung) {
        (Action::Act, Some(rung)) => {
            let mark = if dry {
                " (a dry run: only said, not done)"
            } else {
                ""
            };
            lines.hanging(
                12,
                "  now",
                GOOD,
                &format!("{rung}{mark}, since {}", next.reason),
            )
        }
        (Action::Wait, _) => {
            let seconds = next.wait_seconds.unwrap_or(0);
            let wait = text::duration(seconds);
            lines.field("now", &format!("wait, {wait} at most: {}", next.reason))
        }
        _ => lines.field("now", &format!("nothing: {}", next.reason)),
    }
}
