//! What a snapshot counts, as Prometheus and OpenMetrics read it.
//!
//! Names follow Prometheus' rules: one prefix, base units, `_total` for counters alone. Labels
//! are bounded: the largest leaks by container, and one series for the rest. A pid is never a
//! label, since each would be a series of its own for ever.

mod text;

use std::collections::BTreeMap;

use sexton_core::audit::{ExitSignal, Mark};
use sexton_core::forecast::Trend;
use sexton_core::limit::Nearness;
use sexton_core::text::leak;
use sexton_core::{Leak, Limit};

use super::numbers::{BUCKETS, Numbers};
use super::snapshot::Snapshot;
pub use text::Form;
use text::{Kind, Text};

/// Limits that have a series of their own: the fullest.
const LIMITS: usize = 50;
/// Containers that have series of their own; the others are added up as `other`.
const CONTAINERS: usize = 50;

/// The metrics of a snapshot.
pub fn render(snapshot: &Snapshot, form: Form) -> String {
    let mut text = Text::new(form);
    let Snapshot {
        report,
        limits,
        filling,
        agent,
        history: _,
        actions: _,
        numbers,
        failed: _,
        halted: _,
        interval: _,
        panics,
    } = snapshot;
    text.family(
        "sexton_build_info",
        Kind::Gauge,
        "Always 1; the version is a label.",
    );
    text.sample("", &[("version", &agent.version)], 1.0);
    if let Some(report) = report {
        text.family("sexton_leaks", Kind::Gauge, "Processes that hold zombies.");
        text.sample("", &[], report.leaks.len() as f64);
        places(&mut text, &report.leaks, limits);
        limits_of_node(&mut text, &report.limits);
        text.family(
            "sexton_containers_cannot_end",
            Kind::Gauge,
            "Containers whose PID 1 is dead or dying and that cannot end, since something keeps it.",
        );
        text.sample("", &[], report.cannot_end.len() as f64);
        exit_signals(&mut text, &report.exit_signals);
        filling_up(&mut text, filling.iter().chain(&report.limits));
    }
    policies(&mut text, snapshot);
    counters(&mut text, numbers);
    text.family(
        "sexton_panics",
        Kind::Counter,
        "Defects of the agent itself that showed while it ran.",
    );
    text.sample("_total", &[], *panics as f64);
    text.end()
}

/// What one container's leaks add up to.
#[derive(Default)]
struct Place {
    zombies: u64,
    rate: f64,
    /// How much of `rate` is taken as it comes.
    held: f64,
    seconds_left: Option<u64>,
    headroom: Option<u64>,
}

fn places(text: &mut Text, leaks: &[Leak], limits: &BTreeMap<sexton_core::ProcessId, Vec<Limit>>) {
    let mut places: BTreeMap<[String; 3], Place> = BTreeMap::new();
    for leak in leaks {
        let place = places.entry(labels_of(leak)).or_default();
        place.zombies += leak.zombies;
        if let Some(forecast) = &leak.forecast {
            place.rate += forecast.rate_per_second;
            if forecast.trend == Trend::Held {
                place.held += forecast.rate_per_second;
            }
            place.seconds_left = least(place.seconds_left, forecast.warns_of());
        }
        let headroom = limits
            .get(&leak.holder.id)
            .and_then(|limits| sexton_core::limit::first_of(limits))
            .and_then(Limit::headroom);
        place.headroom = least(place.headroom, headroom);
    }
    let mut sorted: Vec<([String; 3], Place)> = places.into_iter().collect();
    sorted.sort_by(|a, b| b.1.zombies.cmp(&a.1.zombies).then_with(|| a.0.cmp(&b.0)));
    if sorted.len() > CONTAINERS {
        let mut other = Place::default();
        for (_, place) in sorted.split_off(CONTAINERS) {
            other.zombies += place.zombies;
            other.rate += place.rate;
            other.held += place.held;
            other.seconds_left = least(other.seconds_left, place.seconds_left);
            other.headroom = least(other.headroom, place.headroom);
        }
        let name = "other".to_owned();
        sorted.push(([name.clone(), name.clone(), name], other));
    }
    type Value = fn(&Place) -> Option<f64>;
    let families: [(&str, &str, Value); 5] = [
        (
            "sexton_zombies",
            "Processes that have ended and that their parent has not waited for.",
            |place| Some(place.zombies as f64),
        ),
        (
            "sexton_leak_zombies_per_second",
            "How fast zombies come; what is taken away again counts.",
            |place| Some(place.rate),
        ),
        (
            "sexton_held_zombies_per_second",
            "How fast they come where the policies take them as they come, so that no limit is reached.",
            |place| (place.held > 0.0).then_some(place.held),
        ),
        (
            "sexton_forecast_seconds",
            "Seconds until a limit is reached at which fork fails; absent where none is in sight, and where the leak is held.",
            |place| place.seconds_left.map(|seconds| seconds as f64),
        ),
        (
            "sexton_headroom_tasks",
            "Tasks that still fit below the limit that is reached first.",
            |place| place.headroom.map(|headroom| headroom as f64),
        ),
    ];
    for (name, help, value) in families {
        text.family(name, Kind::Gauge, help);
        for ([namespace, pod, container], place) in &sorted {
            if let Some(value) = value(place) {
                let labels = [
                    ("namespace", namespace.as_str()),
                    ("pod", pod),
                    ("container", container),
                ];
                text.sample("", &labels, value);
            }
        }
    }
}

fn exit_signals(text: &mut Text, found: &[ExitSignal]) {
    text.family(
        "sexton_exit_signal_containers",
        Kind::Gauge,
        "Containers by what their stop signal will do, as the last audit found.",
    );
    for mark in Mark::ALL {
        let verdict = match mark {
            Mark::Killed => "killed",
            Mark::EndsUnheard => "ends_unheard",
            Mark::Unknown => "unknown",
            Mark::Ends => "ends",
        };
        let count = found.iter().filter(|found| found.mark() == mark).count();
        text.sample("", &[("verdict", verdict)], count as f64);
    }
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Namespace, pod and container; a process of the host has its own name as container.
fn labels_of(leak: &Leak) -> [String; 3] {
    let Some(container) = &leak.container else {
        return [String::new(), String::new(), "host".to_owned()];
    };
    let pod = container.pod.as_ref();
    let name = container.name.clone();
    [
        pod.and_then(|pod| pod.namespace.clone())
            .unwrap_or_default(),
        pod.and_then(|pod| pod.name.clone()).unwrap_or_default(),
        // Without a name the id is the only thing that tells two of them apart.
        name.unwrap_or_else(|| leak::place(Some(container))),
    ]
}

fn limits_of_node(text: &mut Text, limits: &[Limit]) {
    type Value = fn(&Limit) -> Option<u64>;
    let families: [(&str, &str, Value); 4] = [
        (
            "sexton_limit",
            "Limits of the machine on which fork fails.",
            |limit| limit.limit,
        ),
        ("sexton_limit_used", "What is used of them.", |limit| {
            limit.used
        }),
        ("sexton_limit_headroom", "What is left.", Limit::headroom),
        (
            "sexton_limit_zombies",
            "What zombies take of them.",
            |limit| limit.zombies,
        ),
    ];
    for (name, help, value) in families {
        text.family(name, Kind::Gauge, help);
        for limit in limits {
            if let Some(value) = value(limit) {
                text.sample("", &[("kind", limit.kind.name())], value as f64);
            }
        }
    }
}

/// Each with the file that sets it, which is of one cgroup alone.
fn filling_up<'l>(text: &mut Text, limits: impl Iterator<Item = &'l Limit>) {
    text.family(
        "sexton_limit_used_ratio",
        Kind::Gauge,
        "How much of a limit of the machine or of a cgroup is used, from 0.7 on; at 1 fork fails.",
    );
    let full = limits.filter(|limit| limit.nearness() != Nearness::Far);
    for limit in full.take(LIMITS) {
        let taken = limit.used.unwrap_or(0).saturating_add(limit.reserved);
        let ratio = match (limit.is_reached(), limit.limit) {
            (false, Some(most)) => taken as f64 / most as f64,
            _ => 1.0,
        };
        let labels = [("kind", limit.kind.name()), ("scope", limit.scope.as_str())];
        text.sample("", &labels, ratio);
    }
}

fn policies(text: &mut Text, snapshot: &Snapshot) {
    let agent = &snapshot.agent;
    let refused = agent
        .policies
        .iter()
        .filter(|p| p.refused.is_some())
        .count();
    text.family(
        "sexton_policies",
        Kind::Gauge,
        "Policies of this node, by whether they are followed.",
    );
    for (state, count) in [
        ("followed", agent.policies.len() - refused),
        ("refused", refused),
    ] {
        text.sample("", &[("state", state)], count as f64);
    }
    text.family(
        "sexton_acting",
        Kind::Gauge,
        "1 where the agent may act, 0 where it only looks.",
    );
    let acting = agent.read_only.is_none() && agent.paused.is_none();
    text.sample("", &[], f64::from(u8::from(acting)));
    text.family(
        "sexton_halted",
        Kind::Gauge,
        "1 where a program died of what the agent did to it: nothing is done until `sexton resume`.",
    );
    text.sample("", &[], f64::from(u8::from(snapshot.halted)));
    text.family(
        "sexton_interval_seconds",
        Kind::Gauge,
        "Time between two looks at rest; longer than was asked for where looks cost much.",
    );
    text.sample("", &[], snapshot.interval.as_secs_f64());
}

fn counters(text: &mut Text, numbers: &Numbers) {
    text.family(
        "sexton_actions",
        Kind::Counter,
        "Steps that were taken, or would have been.",
    );
    for ((rung, outcome, mode), count) in &numbers.actions {
        let labels = [
            ("rung", rung.as_str()),
            ("outcome", outcome),
            ("mode", mode),
        ];
        text.sample("_total", &labels, *count as f64);
    }
    text.family(
        "sexton_zombies_reaped",
        Kind::Counter,
        "Zombies that were taken away.",
    );
    text.sample("_total", &[], numbers.reaped as f64);
    text.family(
        "sexton_errors",
        Kind::Counter,
        "What went wrong, by what it was.",
    );
    for (kind, count) in &numbers.errors {
        text.sample("_total", &[("kind", kind)], *count as f64);
    }
    text.family(
        "sexton_scan_duration_seconds",
        Kind::Histogram,
        "How long a look takes.",
    );
    let mut below = 0;
    for (bound, count) in BUCKETS.iter().zip(numbers.buckets) {
        below += count;
        text.sample("_bucket", &[("le", &format!("{bound:?}"))], below as f64);
    }
    text.sample("_bucket", &[("le", "+Inf")], numbers.looks as f64);
    text.sample("_sum", &[], numbers.looking.as_secs_f64());
    text.sample("_count", &[], numbers.looks as f64);
    text.family(
        "sexton_scan_processes_read",
        Kind::Counter,
        "Entries of /proc that looks have opened.",
    );
    text.sample("_total", &[], numbers.processes_read as f64);
    text.family(
        "sexton_unreadable_facts",
        Kind::Counter,
        "Facts about processes and cgroups that looks could not read, by their file.",
    );
    for (fact, count) in &numbers.unreadable {
        text.sample("_total", &[("fact", fact)], *count as f64);
    }
}

#[cfg(test)]
mod tests;
