//! From all that an agent knows to what the cluster is told.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use sexton_core::audit::Mark;
use sexton_core::{Container, Limit, LimitKind, ProcessId, Report};

use super::fit::{fit, text};
use super::round::{self, rank};
use super::{
    Adherence, Exhaustion, ExitSignalLine, LeakLine, MOST_EXIT_SIGNALS, MOST_LEAKS, MOST_POLICIES,
    PolicyState, Status, Step, condition,
};

/// A holder that has been seen with zombies for so long has a leak; before, its children may
/// just have ended.
const STAYS: Duration = Duration::from_secs(20);
/// So many at once are one whenever they were first seen.
const AT_ONCE: u64 = 20;

/// The longest texts, in characters: those of Kubernetes' own names are the longest they can be.
const NAME: usize = 63;
const POD: usize = 253;
const OWNER: usize = 96;
const PROCESS: usize = 32;
const MESSAGE: usize = 256;

/// All that there is to be told of.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Version of the agent.
    pub agent_version: &'a str,
    /// What was seen last, with names, owners, causes, forecasts, and verdicts of the audit.
    pub report: &'a Report,
    /// What the agent has to do with each holder. A leak that is not here is taken as it is.
    pub dealings: &'a HashMap<ProcessId, Dealing>,
    /// The policies, and whether they are followed.
    pub policies: &'a [PolicyState],
    /// Why the agent does not do all that its policies ask for.
    pub hindrance: Option<&'a Hindrance>,
    /// What was told last: what is the same in it stays the same.
    pub before: Option<&'a Status>,
    /// The time, for what changes now.
    pub now: Timestamp,
}

/// What the agent has to do with one holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dealing {
    /// For how long it has been seen with zombies, without a break.
    pub watched: Duration,
    /// The policy that covers it.
    pub policy: Option<String>,
    /// The last step that was taken, and what came of it.
    pub step: Option<Step>,
}

/// Why an agent does not do all that its policies ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// In a word, CamelCase: `Paused`, `AnotherAgent`, `CannotRecord`, `RightsMissing`…
    pub reason: String,
    /// In a sentence.
    pub message: String,
}

/// What the cluster is told. The same is told again when nothing of note has changed.
#[must_use]
pub fn condense(seen: &Seen<'_>) -> Status {
    let nothing = Status::default();
    let before = seen.before.unwrap_or(&nothing);
    let told = |now: u64, get: fn(&Status) -> u64| round::count(seen.before.map(get), now);

    let leaks = leaks(seen, before);
    let total = leaks.iter().map(|(exactly, _)| exactly).sum();
    let count = u64::try_from(leaks.len()).unwrap_or(u64::MAX);
    let mut leaks: Vec<LeakLine> = leaks.into_iter().map(|(_, leak)| leak).collect();
    let (unstoppable, exit_signals) = exit_signals(seen.report);

    let mut status = Status {
        agent_version: text(seen.agent_version, NAME),
        kernel: text(&seen.report.node.kernel, NAME),
        zombies: told(total, |before| before.zombies),
        leak_count: if leaks.len() > MOST_LEAKS {
            // Never a number that all the leaks told would be more than.
            told(count, |before| before.leak_count).max(MOST_LEAKS as u64 + 1)
        } else {
            count
        },
        worst: leaks.first().map(whose),
        pids_used_percent: pids_used(seen.report, seen.before),
        forecast: soonest(&leaks, before),
        leaks: {
            leaks.truncate(MOST_LEAKS);
            leaks
        },
        exit_signals,
        exit_signal_count: told(unstoppable, |before| before.exit_signal_count),
        policies: policies(seen.policies),
        conditions: Vec::new(),
    };
    let hindrance = seen.hindrance.map(short);
    status.conditions =
        condition::conditions(&status, hindrance.as_ref(), &before.conditions, seen.now);
    fit(&mut status);
    status
}

/// What was told last, with why there is nothing newer.
#[must_use]
pub fn hindered(before: &Status, hindrance: &Hindrance, now: Timestamp) -> Status {
    let conditions =
        condition::conditions(before, Some(&short(hindrance)), &before.conditions, now);
    let mut status = Status {
        conditions,
        ..before.clone()
    };
    fit(&mut status);
    status
}

fn short(hindrance: &Hindrance) -> Hindrance {
    Hindrance {
        reason: text(&hindrance.reason, NAME),
        message: text(&hindrance.message, MESSAGE),
    }
}

/// Those that stay, the worst first, each with its exact number.
fn leaks(seen: &Seen<'_>, before: &Status) -> Vec<(u64, LeakLine)> {
    let before: HashMap<(u32, &str), &LeakLine> = before
        .leaks
        .iter()
        .map(|leak| ((leak.pid, leak.holder.as_str()), leak))
        .collect();
    let mut leaks: Vec<(u64, LeakLine)> = seen
        .report
        .leaks
        .iter()
        .filter_map(|leak| {
            let dealing = seen.dealings.get(&leak.holder.id);
            let holder = text(&leak.holder.name, PROCESS);
            let before = before.get(&(leak.holder.id.pid, holder.as_str())).copied();
            let stays = leak.zombies >= AT_ONCE
                || before.is_some()
                || dealing.is_none_or(|dealing| dealing.watched >= STAYS);
            (stays && leak.zombies > 0).then(|| (leak.zombies, told(leak, holder, dealing, before)))
        })
        .collect();
    leaks.sort_by(|(_, a), (_, b)| {
        let key = |leak: &LeakLine| (urgency(leak), std::cmp::Reverse(leak.zombies));
        let name = |leak: &LeakLine| {
            (
                leak.namespace.clone(),
                leak.pod.clone(),
                leak.container.clone(),
            )
        };
        key(a)
            .cmp(&key(b))
            .then_with(|| name(a).cmp(&name(b)))
            .then_with(|| a.pid.cmp(&b.pid))
    });
    leaks
}

/// What is more than a few hours off is no reason to come before a larger one.
fn urgency(leak: &LeakLine) -> usize {
    let most = rank("1d");
    leak.forecast
        .as_ref()
        .map_or(most, |forecast| rank(&forecast.within).min(most))
}

fn told(
    leak: &sexton_core::Leak,
    holder: String,
    dealing: Option<&Dealing>,
    before: Option<&LeakLine>,
) -> LeakLine {
    let Place {
        namespace,
        pod,
        container,
        owner,
    } = leak.container.as_ref().map(place).unwrap_or_default();
    LeakLine {
        namespace,
        pod,
        container,
        owner,
        holder,
        pid: leak.holder.id.pid,
        zombies: round::count(before.map(|before| before.zombies), leak.zombies),
        command: command(leak, before),
        cause: cause(leak, before),
        forecast: leak.forecast.as_ref().and_then(|forecast| {
            round::exhaustion(before.and_then(|before| before.forecast.as_ref()), forecast)
        }),
        protected: leak.protected.is_some(),
        policy: dealing
            .and_then(|dealing| dealing.policy.as_deref())
            .map(|policy| text(policy, NAME)),
        step: dealing.and_then(|dealing| dealing.step.clone()),
    }
}

/// The most frequent, unless the one that was told has nearly as many.
fn command(leak: &sexton_core::Leak, before: Option<&LeakLine>) -> Option<String> {
    let first = leak.commands.first()?;
    let kept = before
        .and_then(|before| before.command.as_ref())
        .filter(|told| {
            leak.commands
                .iter()
                .any(|other| text(&other.name, PROCESS) == **told && other.count * 2 >= first.count)
        });
    Some(kept.cloned().unwrap_or_else(|| text(&first.name, PROCESS)))
}

/// The likeliest, unless the one that was told is as likely.
fn cause(leak: &sexton_core::Leak, before: Option<&LeakLine>) -> Option<String> {
    let first = leak.causes.first()?;
    let kept = before
        .and_then(|before| before.cause.as_ref())
        .filter(|told| {
            leak.causes
                .iter()
                .any(|other| other.id == **told && other.confidence >= first.confidence)
        });
    Some(kept.cloned().unwrap_or_else(|| text(&first.id, NAME)))
}

/// Where a container belongs, as far as it is known.
#[derive(Default)]
struct Place {
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    owner: Option<String>,
}

fn place(container: &Container) -> Place {
    let pod = container.pod.as_ref();
    let cut = |name: &Option<String>, most| name.as_deref().map(|name| text(name, most));
    let name = container.name.as_deref().unwrap_or(container.short_id());
    Place {
        namespace: pod.and_then(|pod| cut(&pod.namespace, NAME)),
        pod: pod.and_then(|pod| cut(&pod.name, POD)),
        container: Some(text(name, NAME)),
        owner: container
            .owner
            .as_ref()
            .map(|owner| text(&owner.to_string(), OWNER)),
    }
}

/// Whose a leak is, in the fewest words that find it.
fn whose(leak: &LeakLine) -> String {
    let of = leak.owner.as_ref().or(leak.pod.as_ref());
    match (&leak.namespace, of, &leak.container) {
        (Some(namespace), Some(of), _) => text(&format!("{namespace}/{of}"), OWNER),
        (_, Some(name), _) | (_, None, Some(name)) => text(name, OWNER),
        (_, None, None) => format!("host/{}", leak.holder),
    }
}

/// The limit that is reached first, and when; the one that was told where two are alike.
fn soonest(leaks: &[LeakLine], before: &Status) -> Option<Exhaustion> {
    let forecasts = || leaks.iter().filter_map(|leak| leak.forecast.as_ref());
    let soonest = forecasts().map(|forecast| rank(&forecast.within)).min()?;
    let mut alike = forecasts().filter(|forecast| rank(&forecast.within) == soonest);
    let kept = before.forecast.as_ref().filter(|before| {
        let mut alike = alike.clone();
        alike.any(|forecast| forecast == *before)
    });
    kept.or_else(|| alike.next()).cloned()
}

/// What is used of the node's own limits on tasks, the fullest of them.
fn pids_used(report: &Report, before: Option<&Status>) -> u8 {
    let used = report
        .limits
        .iter()
        .filter(|limit| matches!(limit.kind, LimitKind::PidMax | LimitKind::ThreadsMax))
        .filter_map(Limit::used_percent)
        .max()
        .unwrap_or(0);
    round::percent(before.map(|before| before.pids_used_percent), used)
}

/// How many containers will not end, and which, those of one owner once, the surest first.
fn exit_signals(report: &Report) -> (u64, Vec<ExitSignalLine>) {
    let mut count = 0;
    let mut found = BTreeMap::new();
    for signal in &report.exit_signals {
        if signal.mark() == Mark::Ends {
            continue;
        }
        count += 1;
        let Place {
            namespace,
            pod,
            container,
            owner,
        } = place(&signal.container);
        let told = ExitSignalLine {
            namespace,
            pod: pod.filter(|_| owner.is_none()),
            container: container.unwrap_or_default(),
            owner,
            process: text(&signal.main.name, PROCESS),
            signal: text(&signal.stop_signal.name, PROCESS),
            verdict: signal.mark(),
        };
        let key = (
            told.verdict,
            told.namespace.clone(),
            told.owner.clone(),
            told.pod.clone(),
            told.container.clone(),
        );
        found.entry(key).or_insert(told);
    }
    (count, found.into_values().take(MOST_EXIT_SIGNALS).collect())
}

fn policies(policies: &[PolicyState]) -> Vec<PolicyState> {
    let mut told: Vec<PolicyState> = policies
        .iter()
        .map(|policy| PolicyState {
            name: text(&policy.name, POD),
            message: policy.message.as_deref().map(|why| text(why, MESSAGE)),
            ..policy.clone()
        })
        .collect();
    told.sort_by(|a, b| {
        let followed = |policy: &PolicyState| policy.state == Adherence::Following;
        (followed(a), &a.name).cmp(&(followed(b), &b.name))
    });
    told.truncate(MOST_POLICIES);
    told
}
