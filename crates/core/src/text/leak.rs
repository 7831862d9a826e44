//! A leak in words. Nothing here is made safe for a terminal or a page: that is done where it is
//! written.

use crate::forecast::Trend;
use crate::holder::HoldsAs;
use crate::report::{CommandCount, Exit};
use crate::{Confidence, Container, Forecast, Leak, LimitKind, Runtime, State};

use super::{count, duration, rate, short_ids};

/// Whose it is, short: `shop/checkout-7d9f app`, `docker web`, `containerd 3f2a9c…`, `host`.
#[must_use]
pub fn place(container: Option<&Container>) -> String {
    container.map_or_else(|| "host".to_owned(), self::container)
}

/// A container, short.
fn container(container: &Container) -> String {
    let pod = container.pod.as_ref().and_then(|pod| {
        let name = pod.name.as_deref()?;
        Some(match pod.namespace.as_deref() {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        })
    });
    let name = container
        .name
        .clone()
        .unwrap_or_else(|| container.short_id().to_owned());
    match (
        pod,
        container.pod.as_ref().and_then(|pod| pod.uid.as_deref()),
    ) {
        (Some(pod), _) => format!("{pod} {name}"),
        (None, Some(uid)) => format!("{name} of pod {uid}"),
        (None, None) => match runtime(container.runtime) {
            Some(runtime) => format!("{runtime} {name}"),
            None => name,
        },
    }
}

/// A runtime's name, where it is known.
#[must_use]
pub fn runtime(runtime: Runtime) -> Option<&'static str> {
    match runtime {
        Runtime::Docker => Some("docker"),
        Runtime::Containerd => Some("containerd"),
        Runtime::Crio => Some("cri-o"),
        Runtime::Podman => Some("podman"),
        Runtime::Nspawn => Some("nspawn"),
        Runtime::Lxc => Some("lxc"),
        Runtime::Unknown => None,
    }
}

/// The holder's command: its arguments, else its name as `ps` shows a kernel thread.
#[must_use]
pub fn command(leak: &Leak) -> String {
    let holder = &leak.holder;
    if holder.command_line.is_empty() {
        format!("[{}]", holder.name)
    } else {
        holder.command_line.join(" ")
    }
}

/// Who ended: `chrome 3,100, sh 104`; the rest is summed up after `most` names.
#[must_use]
pub fn ended(commands: &[CommandCount], most: usize) -> String {
    let mut parts: Vec<String> = commands
        .iter()
        .take(most)
        .map(|c| format!("{} {}", c.name, count(c.count)))
        .collect();
    if commands.len() > most {
        let rest: u64 = commands[most..].iter().map(|c| c.count).sum();
        parts.push(format!("{} more {}", commands.len() - most, count(rest)));
    }
    parts.join(", ")
}

/// The same without the directories of the program, for where there is little room.
#[must_use]
pub fn short_command(leak: &Leak) -> String {
    let command = command(leak);
    let program = command.split(' ').next().unwrap_or_default();
    match program.rfind('/') {
        Some(slash) if program.starts_with('/') => command[slash + 1..].to_owned(),
        _ => command,
    }
}

/// What is special about the holder: most important first, empty for an ordinary one.
#[must_use]
pub fn holder_state(leak: &Leak) -> Vec<String> {
    let holder = &leak.holder;
    let mut words = vec![];
    if leak.protected.is_some() {
        words.push("protected".to_owned());
    }
    if holder.frozen {
        words.push("frozen".to_owned());
    }
    match holder.state {
        State::Stopped => words.push("stopped".to_owned()),
        State::DiskSleep => words.push("in D".to_owned()),
        State::Zombie | State::Dead => words.push("ending".to_owned()),
        _ => {}
    }
    if let Some(tracer) = holder.traced_by {
        words.push(format!("traced by {tracer}"));
    }
    if holder.holds_as == HoldsAs::Tracer {
        words.push("tracer".to_owned());
    }
    if holder.namespace_init {
        words.push("PID 1".to_owned());
    }
    words
}

/// `exit 0`, `SIGKILL`.
#[must_use]
pub fn exit(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(number) => signal_name(number),
    }
}

/// The name of a signal, as `kill -l` gives it.
#[must_use]
pub fn signal_name(number: u8) -> String {
    crate::signal::name(number)
}

/// How sure a judgement is.
#[must_use]
pub fn how_sure(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high confidence",
        Confidence::Medium => "medium confidence",
        Confidence::Low => "low confidence",
    }
}

/// A forecast in a sentence or two.
#[must_use]
pub fn outlook(forecast: &Forecast) -> String {
    let Forecast {
        trend,
        rate_per_second,
        basis,
        limit,
        scope,
        seconds_left,
        seconds_left_range,
        seconds_left_unheld,
        confidence,
    } = forecast;
    let what = || {
        let kind = limit.map_or("a limit", LimitKind::name);
        match scope {
            Some(scope) => format!("{kind} of {}", short_ids(scope)),
            None => kind.to_owned(),
        }
    };
    let sure = how_sure(*confidence);
    let sentence = match (trend, seconds_left) {
        (Trend::LimitReached, _) => format!("{} is reached: fork fails now", what()),
        (Trend::Growing, Some(left)) => {
            let mut sentence = format!(
                "{}, {} is reached in {}",
                rate(*rate_per_second),
                what(),
                duration(*left)
            );
            sentence += &match seconds_left_range {
                Some((low, Some(high))) if low != high => {
                    format!(" ({} to {})", duration(*low), duration(*high))
                }
                Some((low, None)) => format!(" ({} at the earliest)", duration(*low)),
                _ => String::new(),
            };
            sentence
        }
        (Trend::Growing, None) => format!("{}, no limit in sight", rate(*rate_per_second)),
        (Trend::Held, _) => {
            let rate = rate(*rate_per_second);
            match seconds_left_unheld {
                Some(left) => format!(
                    "held: {rate} are taken as they come; without that, {} is reached in {}",
                    what(),
                    duration(*left)
                ),
                None => format!("held: {rate} are taken as they come"),
            }
        }
        (Trend::NotGrowing, _) => "not growing".to_owned(),
        (Trend::Unknown, _) => "too little was seen to tell".to_owned(),
    };
    format!("{sentence}; {sure}, from {basis}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_summed_up() {
        let commands: Vec<CommandCount> = [("chrome", 3100), ("sh", 104), ("cat", 3), ("ls", 1)]
            .map(|(name, count)| CommandCount {
                name: name.to_owned(),
                count,
            })
            .to_vec();
        assert_eq!(ended(&commands, 2), "chrome 3,100, sh 104, 2 more 4");
        assert_eq!(ended(&commands[..1], 2), "chrome 3,100");
        assert_eq!(ended(&[], 2), "");
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(exit(Exit::from_wait_status(9)), "SIGKILL");
        assert_eq!(exit(Exit::from_wait_status(0x0300)), "exit 3");
        assert_eq!(signal_name(15), "SIGTERM");
        assert_eq!(signal_name(34), "SIGRTMIN");
    }
}
