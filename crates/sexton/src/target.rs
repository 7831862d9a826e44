//! TARGET: whom a command is about. One grammar for all commands.

mod find;
mod inventory;
mod meant;
mod workload;

use crate::error::Error;

pub use meant::{Meant, keep};

/// What a person named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A holder or a zombie.
    Pid(u32),
    /// The beginning of a container's id, or its name.
    Container(String),
    /// NAME, NAMESPACE/NAME or uid; NAME may be that of the workload.
    Pod(String),
    /// A container, a pod or a program.
    Any(String),
}

impl std::str::FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why| Error::Target {
            target: text.to_owned(),
            why,
        };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        let pid = |digits: &str| {
            digits
                .parse()
                .ok()
                .filter(|&pid| pid > 0)
                .map(Self::Pid)
                .ok_or_else(|| bad("that is not a process id"))
        };
        match text.split_once('/') {
            Some((_, "")) => Err(bad("the name is missing")),
            Some(("pid", digits)) => pid(digits),
            Some(("container", id)) => Ok(Self::Container(id.to_owned())),
            Some(("pod" | "pods", name)) => Ok(Self::Pod(name.to_owned())),
            Some(_) => Ok(Self::Pod(text.to_owned())),
            // No pid has more than seven digits (PID_MAX_LIMIT is 4,194,304); a longer figure
            // may well be the beginning of a container's id.
            None if text.len() <= 7 && text.bytes().all(|b| b.is_ascii_digit()) => pid(text),
            None => Ok(Self::Any(text.to_owned())),
        }
    }
}

impl Target {
    /// What the options `--pid`, `--container` and `--pod` name.
    pub fn of_options(
        pid: Option<u32>,
        container: Option<String>,
        pod: Option<String>,
    ) -> impl Iterator<Item = Self> {
        let options = [
            pid.map(Self::Pid),
            container.map(Self::Container),
            pod.map(Self::Pod),
        ];
        options.into_iter().flatten()
    }

    fn text(&self) -> &str {
        match self {
            Self::Pid(_) => "",
            Self::Container(name) | Self::Pod(name) | Self::Any(name) => name,
        }
    }
}

#[cfg(test)]
mod tests;
