//! TARGET: which leaks a command is about.

use sexton_core::{Container, Leak, State};
use sexton_scan::Scanner;

use crate::error::Error;

/// What a person named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A holder or a zombie.
    Pid(u32),
    /// The beginning of a container's id, or its name.
    Container(String),
    /// NAME, NAMESPACE/NAME or uid.
    Pod(String),
    /// A container or a pod.
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
    /// Whether `leak` belongs to what was named. A zombie's pid is resolved by the caller,
    /// since a report lists only a sample of the zombies.
    pub fn matches(&self, leak: &Leak) -> bool {
        let container = leak.container.as_ref();
        match self {
            Self::Pid(pid) => leak.holder.id.pid == *pid,
            Self::Container(name) => container.is_some_and(|c| is_container(c, name)),
            Self::Pod(name) => container.is_some_and(|c| is_pod(c, name)),
            Self::Any(name) => container.is_some_and(|c| is_container(c, name) || is_pod(c, name)),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "Process {pid}"),
            Self::Container(name) => write!(f, "Container {name}"),
            Self::Pod(name) => write!(f, "Pod {name}"),
            Self::Any(name) => f.write_str(name),
        }
    }
}

/// `target` with the pid of a zombie replaced by that of its holder.
pub fn resolve(scanner: &Scanner, target: Target) -> Result<Target, Error> {
    Ok(match target {
        Target::Pid(pid) => Target::Pid(holder_of(scanner, pid)?),
        other => other,
    })
}

/// The holder that `pid` stands for: itself, or, when it is a zombie, the process that ought to
/// wait for it.
pub fn holder_of(scanner: &Scanner, pid: u32) -> Result<u32, Error> {
    let gone = || Error::NoSuchTarget(format!("there is no process {pid}"));
    let mut buffer = Vec::new();
    let proc = scanner.proc();
    let found = proc.status(pid, &mut buffer)?.ok_or_else(gone)?;
    Ok(match (found.state, found.tracer) {
        (State::Zombie, Some(tracer)) => proc
            .process_of_thread(tracer, &mut buffer)?
            .unwrap_or(tracer),
        (State::Zombie, None) => found.parent,
        _ => pid,
    })
}

/// The first living process of the container that `name` names.
pub fn first_process(scanner: &mut Scanner, name: &str) -> Result<u32, Error> {
    find(scanner, |container| is_container(container, name))?.ok_or_else(|| {
        Error::NoSuchTarget(format!(
            "no running container bears the name or id '{name}'"
        ))
    })
}

/// Tells a target that holds no zombies from one that does not exist.
pub fn must_exist(scanner: &mut Scanner, target: &Target) -> Result<(), Error> {
    let found = match target {
        // Resolving has found the process.
        Target::Pid(_) => return Ok(()),
        Target::Container(name) => find(scanner, |c| is_container(c, name))?,
        Target::Pod(name) => find(scanner, |c| is_pod(c, name))?,
        Target::Any(name) => find(scanner, |c| is_container(c, name) || is_pod(c, name))?,
    };
    match found {
        Some(_) => Ok(()),
        None => Err(Error::NoSuchTarget(format!(
            "nothing on this node bears that name: {target}"
        ))),
    }
}

fn find(scanner: &mut Scanner, is_it: impl Fn(&Container) -> bool) -> Result<Option<u32>, Error> {
    for pid in scanner.proc().pids()? {
        // A zombie is bound by nothing and can be asked nothing.
        // What cannot be read of one process is no reason not to find another.
        let process = scanner.proc().process(pid).ok().flatten();
        let stat = process.and_then(|process| process.stat().ok().flatten());
        if stat.is_none_or(|stat| stat.is_reapable_zombie()) {
            continue;
        }
        let container = scanner.container_of(pid).ok().flatten();
        if container.is_some_and(|container| is_it(&container)) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// `name` is the container's name, its id, or the beginning of its id.
pub fn is_container(container: &Container, name: &str) -> bool {
    container.name.as_deref() == Some(name) || (!name.is_empty() && container.id.starts_with(name))
}

/// `name` is the pod's name, NAMESPACE/NAME or uid.
pub fn is_pod(container: &Container, name: &str) -> bool {
    let Some(pod) = &container.pod else {
        return false;
    };
    if pod.uid.as_deref() == Some(name) {
        return true;
    }
    match name.split_once('/') {
        Some((namespace, name)) => {
            pod.namespace.as_deref() == Some(namespace) && pod.name.as_deref() == Some(name)
        }
        None => pod.name.as_deref() == Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_core::{Pod, Runtime};

    fn parse(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn forms() {
        assert_eq!(parse("123"), Target::Pid(123));
        assert_eq!(parse("pid/123"), Target::Pid(123));
        assert_eq!(parse("container/3f2a"), Target::Container("3f2a".into()));
        assert_eq!(parse("pod/web"), Target::Pod("web".into()));
        assert_eq!(parse("pod/shop/web"), Target::Pod("shop/web".into()));
        assert_eq!(parse("shop/web"), Target::Pod("shop/web".into()));
        assert_eq!(parse("web"), Target::Any("web".into()));
        assert_eq!(parse("123456789012"), Target::Any("123456789012".into()));
        for bad in ["", "0", "pid/x", "pod/", "container/"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn containers_and_pods() {
        let container = Container {
            id: "3f2a9c".repeat(10),
            runtime: Runtime::Containerd,
            name: Some("app".into()),
            pod: Some(Pod {
                uid: Some("u-1".into()),
                name: Some("web".into()),
                namespace: Some("shop".into()),
            }),
            owner: None,
            cgroup: "/x".into(),
        };
        assert!(is_container(&container, "3f2a") && is_container(&container, "app"));
        assert!(!is_container(&container, "") && !is_container(&container, "f2a"));
        assert!(is_pod(&container, "web") && is_pod(&container, "shop/web"));
        assert!(is_pod(&container, "u-1"));
        assert!(!is_pod(&container, "other/web") && !is_pod(&container, "we"));
    }
}
