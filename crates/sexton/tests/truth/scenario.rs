//! A situation whose truth is known, and what is right to say of it.

use std::process::Command;

use serde_json::Value;
use sexton_lab::Skip;
use tempfile::TempDir;

use crate::situation::Situation;

/// What a scenario is about; scores are told by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Category {
    /// The parent started the dead itself.
    OwnChildren,
    /// The dead were given to the parent.
    Orphans,
    /// A script had them before it became the parent by exec.
    Inherited,
    /// The parent cannot run, or its wait is kept from it.
    CannotWait,
    /// A program that is known by name.
    KnownProgram,
    /// A program that waits, at once or in its own time.
    Healthy,
    /// A leak that is driven into its limit, or stops before it.
    TimeLeft,
}

impl Category {
    /// As the table of scores has it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::OwnChildren => "own children",
            Self::Orphans => "orphans",
            Self::Inherited => "inherited by exec",
            Self::CannotWait => "cannot wait",
            Self::KnownProgram => "known programs",
            Self::Healthy => "healthy programs",
            Self::TimeLeft => "time left",
        }
    }
}

/// How to set a situation up.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) category: Category,
    pub(crate) start: Box<dyn Fn() -> Result<Box<dyn Scene>, Skip> + Send>,
}

/// A situation that stands; gone on drop.
pub(crate) trait Scene: Send {
    /// Asks Sexton and compares. May take its time.
    fn judge(self: Box<Self>) -> Verdict;
}

/// What an answer was worth.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) right: bool,
    /// Something false was said with high confidence.
    pub(crate) high_and_wrong: bool,
    /// What was said, for whoever has to mend it.
    pub(crate) said: String,
}

impl Verdict {
    /// The command gave no answer.
    pub(crate) fn failed(said: String) -> Self {
        Self {
            right: false,
            high_and_wrong: false,
            said,
        }
    }
}

impl Scenario {
    /// Zombies that stay, for a reason that is known: the first cause given has to be one of
    /// `first`, and whatever else is given as more than a possibility one of those or of `also`.
    pub(crate) fn leak(
        category: Category,
        name: impl Into<String>,
        first: &'static [&'static str],
        also: &'static [&'static str],
        start: impl Fn(&TempDir) -> Result<Situation, Skip> + Send + 'static,
    ) -> Self {
        Self::standing(category, name, Truth::Leak { first, also }, start)
    }

    /// A program that has done nothing wrong.
    pub(crate) fn healthy(
        name: impl Into<String>,
        start: impl Fn(&TempDir) -> Result<Situation, Skip> + Send + 'static,
    ) -> Self {
        Self::standing(Category::Healthy, name, Truth::Healthy, start)
    }

    fn standing(
        category: Category,
        name: impl Into<String>,
        truth: Truth,
        start: impl Fn(&TempDir) -> Result<Situation, Skip> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            category,
            start: Box::new(move || {
                let dir = crate::situation::directory();
                let situation = start(&dir)?;
                Ok(Box::new(Standing {
                    truth,
                    situation,
                    _dir: dir,
                }))
            }),
        }
    }
}

#[derive(Clone, Copy)]
enum Truth {
    Leak {
        first: &'static [&'static str],
        also: &'static [&'static str],
    },
    Healthy,
}

struct Standing {
    truth: Truth,
    situation: Situation,
    _dir: TempDir,
}

impl Scene for Standing {
    fn judge(self: Box<Self>) -> Verdict {
        let causes = match explain(self.situation.holder) {
            Ok(causes) => causes,
            Err(said) => return Verdict::failed(said),
        };
        let first = causes.first().map(|(id, _)| id.as_str());
        let (right, high_and_wrong) = match self.truth {
            Truth::Healthy => {
                let high = causes.iter().any(|(_, sure)| sure == "high");
                // Zombies that wait for their turn are there now and then, and may be spoken of
                // with the doubt that they are young.
                (!high, high)
            }
            Truth::Leak { first: best, also } => {
                let is_true = |id: &str| best.contains(&id) || also.contains(&id);
                let wrong = |sure: &[&str]| {
                    causes
                        .iter()
                        .any(|(id, its)| !is_true(id) && sure.contains(&its.as_str()))
                };
                let named = first.is_some_and(|id| best.contains(&id));
                (named && !wrong(&["high", "medium"]), wrong(&["high"]))
            }
        };
        Verdict {
            right,
            high_and_wrong,
            said: tell(&causes),
        }
    }
}

/// The causes that `sexton explain` gives, best first, each with how sure it is; or what it said
/// instead.
pub(crate) fn explain(pid: u32) -> Result<Vec<(String, String)>, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_sexton"))
        .args(["explain", &pid.to_string(), "--sample", "2", "-o", "json"])
        .output()
        .expect("sexton was built");
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
    let leaks = answer["leaks"].as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(leaks
        .iter()
        .filter(|leak| leak["holder"]["pid"] == pid)
        .flat_map(|leak| leak["causes"].as_array().cloned().unwrap_or_default())
        .map(|cause| (word(&cause["id"]), word(&cause["confidence"])))
        .collect())
}

/// Those causes in one line.
pub(crate) fn tell(causes: &[(String, String)]) -> String {
    let list: Vec<_> = causes
        .iter()
        .map(|(id, sure)| format!("{id} ({sure})"))
        .collect();
    match list.is_empty() {
        true => "no zombies".to_owned(),
        false => list.join(", "),
    }
}
