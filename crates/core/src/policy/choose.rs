//! Which of several policies holds.

use super::{Miss, Policy, Specificity};
use crate::{Container, Holder, Leak, Workload};

/// What a selector asks of a leak.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Names of the holder's program; none where they are not known.
    pub programs: Vec<&'a str>,
    /// Its container as the kernel tells of it; none for a process of the host.
    pub container: Option<&'a Container>,
    /// Its container as its runtime or the API server describes it.
    pub workload: Option<&'a Workload>,
}

impl<'a> Subject<'a> {
    /// A leak, with what is known of its container beyond what the kernel tells.
    #[must_use]
    pub fn of(leak: &'a Leak, workload: Option<&'a Workload>) -> Self {
        Self {
            programs: programs(&leak.holder),
            container: leak.container.as_ref(),
            workload,
        }
    }
}

/// What the kernel calls its program, and the name of its executable.
fn programs(holder: &Holder) -> Vec<&str> {
    let base = |path: &'_ str| path.rfind('/').map_or(0, |slash| slash + 1);
    let executable = holder.executable.as_deref().map(|path| {
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        &path[base(path)..]
    });
    let mut names = vec![holder.name.as_str()];
    names.extend(executable.filter(|name| *name != holder.name));
    names
}

/// Several policies cover a leak equally narrowly: none of them holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "policies {} are equally specific; none applies until one selector is made narrower",
    .policies.join(" and ")
)]
pub struct Tie {
    /// Their names, in order.
    pub policies: Vec<String>,
}

/// What one policy says of a leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// How narrowly it covers the leak, or why it does not.
    pub covers: Result<Specificity, Miss>,
}

/// What each policy says, the narrowest first, those that do not cover `subject` last.
#[must_use]
pub fn verdicts<'a>(policies: &'a [Policy], subject: &Subject<'_>) -> Vec<Coverage<'a>> {
    let mut verdicts: Vec<Coverage<'a>> = policies
        .iter()
        .map(|policy| Coverage {
            policy,
            covers: policy.spec.selector.covers(subject),
        })
        .collect();
    verdicts.sort_by(|a, b| {
        let rank = |v: &Coverage<'_>| v.covers.as_ref().ok().copied();
        rank(b)
            .cmp(&rank(a))
            .then_with(|| a.policy.name().cmp(b.policy.name()))
    });
    verdicts
}

/// The policy that holds for `subject`: the one that covers it most narrowly.
///
/// # Errors
/// Several do so equally.
pub fn choose<'a>(
    policies: &'a [Policy],
    subject: &Subject<'_>,
) -> Result<Option<&'a Policy>, Tie> {
    let verdicts = verdicts(policies, subject);
    let mut covering = verdicts
        .iter()
        .filter_map(|verdict| Some((verdict.policy, *verdict.covers.as_ref().ok()?)));
    let Some((first, narrowest)) = covering.next() else {
        return Ok(None);
    };
    let rivals: Vec<&Policy> = covering
        .take_while(|(_, specificity)| *specificity == narrowest)
        .map(|(policy, _)| policy)
        .collect();
    if rivals.is_empty() {
        return Ok(Some(first));
    }
    Err(Tie {
        policies: std::iter::once(first)
            .chain(rivals)
            .map(|policy| policy.name().to_owned())
            .collect(),
    })
}
