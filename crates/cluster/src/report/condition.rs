//! The conditions of a report.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use sexton_core::report::{MANY, NEAR_PERCENT};
use sexton_core::text::plural;

use super::{Hindrance, Status, round};

/// Type of the condition that the agent looks and can do what its policies ask for.
pub const READY: &str = "Ready";
/// Type of the condition that zombies on this node want somebody's attention; that of the node
/// bears the same name.
pub const ZOMBIE_LEAK: &str = "ZombieLeak";

/// A limit that is reached within this time wants attention.
const NEAR: &str = "1d";

/// Both, as they follow from the rest of `status`.
pub(super) fn conditions(
    status: &Status,
    hindrance: Option<&Hindrance>,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let (ready, reason, message) = match hindrance {
        None => (true, "AsAsked", String::new()),
        Some(Hindrance { reason, message }) => (false, reason.as_str(), message.clone()),
    };
    let (leak, why) = attention(status);
    [
        (READY, ready, reason, message),
        (ZOMBIE_LEAK, leak, why, summary(status)),
    ]
    .map(|(type_, holds, reason, message)| condition(before, type_, (holds, reason, message), now))
    .into()
}

fn condition(
    before: &[Condition],
    type_: &str,
    (holds, reason, message): (bool, &str, String),
    now: Timestamp,
) -> Condition {
    let status = if holds { "True" } else { "False" };
    let since = before
        .iter()
        .find(|before| before.type_ == type_ && before.status == status)
        .map(|before| before.last_transition_time.clone());
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since.unwrap_or_else(|| Time(whole_seconds(now))),
        observed_generation: None,
    }
}

/// As the API server writes times.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Whether the zombies of the node want somebody's attention, and why.
fn attention(status: &Status) -> (bool, &'static str) {
    let soonest = status
        .forecast
        .as_ref()
        .map_or(usize::MAX, |forecast| round::rank(&forecast.within));
    let many = status.leaks.iter().any(|leak| leak.zombies >= MANY);
    if status.zombies == 0 {
        (false, "NoZombies")
    } else if soonest == 0 {
        (true, "LimitReached")
    } else if soonest <= round::rank(NEAR) || status.pids_used_percent >= NEAR_PERCENT {
        (true, "LimitNear")
    } else if many {
        (true, "ManyZombies")
    } else {
        (false, "FewZombies")
    }
}

/// In the rounded figures, so that it changes with them alone.
fn summary(status: &Status) -> String {
    let Status {
        zombies,
        leak_count,
        leaks,
        worst,
        ..
    } = status;
    let (Some(leak), Some(worst)) = (leaks.first(), worst) else {
        return "no zombies that stay".to_owned();
    };
    let end = match &status.forecast {
        Some(forecast) if forecast.within == "reached" => {
            format!("; {} is reached", forecast.limit.name())
        }
        Some(forecast) if forecast.within == round::HELD => {
            "; what grows is taken as it comes".to_owned()
        }
        Some(forecast) => format!(
            "; {} is reached within {}",
            forecast.limit.name(),
            forecast.within
        ),
        None => String::new(),
    };
    let holders = plural(*leak_count, "process", "processes");
    let total = format!("{zombies} or more zombies of {holders}");
    format!("{total}, worst: {} in {worst}{end}", leak.holder)
}
