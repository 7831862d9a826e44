//! Whom a policy covers.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Miss, Specificity, Subject};
use crate::Workload;
use crate::cause::glob;

/// The most entries that a list or map of a selector may have. The API server refuses rules that
/// could cost too much, so nothing in a policy is without bounds.
pub const MOST_ENTRIES: usize = 64;
/// The most label expressions: each is compared with each.
pub const MOST_EXPRESSIONS: usize = 16;
/// The longest name or pattern of a selector, in characters; `NAME_MAX` is 255.
pub const LONGEST_PATTERN: usize = 255;
/// The longest pattern of a cgroup's path, in characters.
pub const LONGEST_CGROUP: usize = 1024;
/// The longest key of a label: a prefix of 253 characters, a slash, a name of 63.
pub const LONGEST_LABEL_KEY: usize = 317;
/// The longest value of a label.
pub const LONGEST_LABEL_VALUE: usize = 63;

/// Whom a policy covers. All fields that are given must fit; within a list one entry must.
///
/// Processes of the host, outside any container, are covered by `hostProcesses` alone, and a
/// policy with `hostProcesses` covers nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Selector {
    /// Namespaces of pods; `*` and `?` stand for any run of characters and any one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_ENTRIES), inner(length(min = 1, max = LONGEST_PATTERN)))]
    pub namespaces: Vec<Glob>,
    /// Labels of pods, as in a Kubernetes label selector.
    #[serde(skip_serializing_if = "PodSelector::is_empty")]
    pub pod_selector: PodSelector,
    /// Names of containers, with `*` and `?`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_ENTRIES), inner(length(min = 1, max = LONGEST_PATTERN)))]
    pub containers: Vec<Glob>,
    /// Names of the programs that hold the zombies, without their directories, with `*` and `?`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_ENTRIES), inner(length(min = 1, max = LONGEST_PATTERN)))]
    pub commands: Vec<Glob>,
    /// Paths of the containers' cgroups, with `*` and `?`; `*` stands for slashes too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_ENTRIES), inner(length(min = 1, max = LONGEST_CGROUP)))]
    pub cgroups: Vec<Glob>,
    /// Processes of the host whose zombies may be reaped: exact names of programs, no patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_ENTRIES), inner(length(min = 1, max = LONGEST_PATTERN)))]
    pub host_processes: Vec<String>,
}

/// A Kubernetes label selector. All requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PodSelector {
    /// Labels that must be there with these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_EXPRESSIONS))]
    pub match_expressions: Vec<Requirement>,
}

impl PodSelector {
    /// It asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// How many requirements it has.
    fn len(&self) -> usize {
        self.match_labels.len() + self.match_expressions.len()
    }

    /// The first requirement that `labels` do not meet.
    fn unmet(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        let equal = self.match_labels.iter().map(|(key, value)| {
            let met = labels.get(key) == Some(value);
            (met, format!("{key}={value}"))
        });
        let further = self
            .match_expressions
            .iter()
            .map(|requirement| (requirement.holds(labels), requirement.to_string()));
        equal
            .chain(further)
            .find(|(met, _)| !met)
            .map(|(_, what)| what)
    }
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// The label's key.
    #[schemars(length(min = 1, max = LONGEST_LABEL_KEY))]
    pub key: String,
    /// What is asked of it.
    pub operator: Operator,
    /// For `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = MOST_ENTRIES), inner(length(max = LONGEST_LABEL_VALUE)))]
    pub values: Vec<String>,
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            // As in Kubernetes, a label that is not there is not in the list either.
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            operator,
            values,
        } = self;
        match operator {
            Operator::In => write!(f, "{key} in ({})", values.join(", ")),
            Operator::NotIn => write!(f, "{key} notin ({})", values.join(", ")),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

/// What is asked of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// A pattern: `*` stands for any run of characters, `?` for one, everything else for itself.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Glob(pub String);

impl Glob {
    /// Whether `text` fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        glob(self.0.as_bytes(), text.as_bytes())
    }

    /// It has no wildcard.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// It fits everything.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte == b'*')
    }
}

impl From<&str> for Glob {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Selector {
    /// How narrowly it covers `subject`, or why it does not.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn covers(&self, subject: &Subject<'_>) -> Result<Specificity, Miss> {
        let Subject {
            programs,
            container,
            workload,
        } = subject;
        let mut specificity = Specificity::default();
        let Some(container) = container else {
            let named = programs
                .iter()
                .any(|name| self.host_processes.iter().any(|host| host == name));
            if !named {
                return Err(Miss::HostProcess);
            }
            specificity.add(1, 1);
            return Ok(specificity);
        };
        if !self.host_processes.is_empty() {
            return Err(Miss::NotHostProcess);
        }
        let pods = [
            workload.and_then(|w| w.pod.as_ref()),
            container.pod.as_ref(),
        ];
        let namespace = pods
            .into_iter()
            .flatten()
            .find_map(|pod| pod.namespace.as_deref());
        let name = workload
            .and_then(|w| w.name.as_deref())
            .or(container.name.as_deref());
        let cgroup = Some(container.cgroup.as_str()).filter(|path| !path.is_empty());

        specificity += fit("namespaces", &self.namespaces, namespace.as_slice())?;
        if !self.pod_selector.is_empty() {
            let labels = labels(*workload)?;
            if let Some(requirement) = self.pod_selector.unmet(labels) {
                return Err(Miss::Label { requirement });
            }
            let requirements = u32::try_from(self.pod_selector.len()).unwrap_or(u32::MAX);
            specificity.add(requirements, requirements);
        }
        specificity += fit("containers", &self.containers, name.as_slice())?;
        specificity += fit("commands", &self.commands, programs)?;
        specificity += fit("cgroups", &self.cgroups, cgroup.as_slice())?;
        Ok(specificity)
    }
}

/// Labels are the runtime's or the API server's to tell; no file of the kernel has them.
fn labels(workload: Option<&Workload>) -> Result<&BTreeMap<String, String>, Miss> {
    workload.map(|w| &w.labels).ok_or_else(|| Miss::NotKnown {
        field: "podSelector".to_owned(),
    })
}

/// What the list `globs` adds, when one of them fits one of `names`.
fn fit(field: &str, globs: &[Glob], names: &[&str]) -> Result<Specificity, Miss> {
    let mut specificity = Specificity::default();
    if globs.is_empty() {
        return Ok(specificity);
    }
    let Some(first) = names.first() else {
        return Err(Miss::NotKnown {
            field: field.to_owned(),
        });
    };
    let fitting = || {
        globs
            .iter()
            .filter(|glob| names.iter().any(|name| glob.fits(name)))
    };
    if fitting().next().is_none() {
        return Err(Miss::Differs {
            field: field.to_owned(),
            is: (*first).to_owned(),
        });
    }
    if fitting().all(Glob::is_anything) {
        return Ok(specificity);
    }
    specificity.add(1, u32::from(fitting().any(Glob::is_exact)));
    Ok(specificity)
}
