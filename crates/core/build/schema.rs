//! What a file of the knowledge base may say, how it is checked, and the Rust that it becomes.
//!
//! Used by `build.rs`, and by a test that gives it wrong entries.

use std::fmt::{Debug, Write as _};
use std::path::Path;

use serde::Deserialize;

#[path = "placeholders.rs"]
mod placeholders;
#[allow(unreachable_pub)]
#[path = "../src/cause/words.rs"]
mod words;

use words::{Answer, Blocked, First, Hindrance, Language, Origin, Session, Tier};

/// `comm` holds no more (`TASK_COMM_LEN` less the final zero).
const COMM_LENGTH: usize = 15;

/// A file of the knowledge base. See `knowledge/README.md`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    title: String,
    tier: Tier,
    confidence: Confidence,
    #[serde(default)]
    when: When,
    #[serde(default)]
    unless: When,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
    facts: Vec<String>,
    now: Vec<String>,
    cure: Cure,
    sources: Vec<String>,
    test: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    confidence: Confidence,
    when: When,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cure {
    text: String,
    language: Option<String>,
    code: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Confidence {
    Low,
    Medium,
    High,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SigchldAction {
    Default,
    Ignored,
    Caught,
}

/// The conditions; each key is one variant of `Condition` in `src/cause/condition.rs`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct When {
    language: Option<Vec<Language>>,
    zombies: Option<Vec<String>>,
    holder: Option<Vec<String>>,
    command_line: Option<Vec<String>>,
    namespace_init: Option<bool>,
    in_container: Option<bool>,
    origin: Option<Vec<Origin>>,
    session: Option<Vec<Session>>,
    same_name: Option<bool>,
    killed: Option<bool>,
    first: Option<Vec<First>>,
    shared_pid_namespace: Option<Vec<Answer>>,
    misplaced_init: Option<bool>,
    sigchld: Option<Vec<SigchldAction>>,
    blocked: Option<Vec<Blocked>>,
    hindrance: Option<Vec<Hindrance>>,
    waited: Option<Vec<Answer>>,
    waiting: Option<Vec<Answer>>,
    tracer: Option<bool>,
    starts_processes: Option<Vec<Answer>>,
    waits_for_one: Option<bool>,
    held_pipe: Option<bool>,
    missed_by_collector: Option<bool>,
    driver: Option<Vec<String>>,
    call: Option<Vec<String>>,
}

/// The Rust for one entry.
///
/// # Errors
/// `FILE: field: what is wrong`, one line for each fault; for a fault of syntax, an unknown
/// field or an unknown word, the TOML parser's message with line and column.
pub(crate) fn compile(path: &Path, text: &str) -> Result<String, Vec<String>> {
    let file = path.display();
    let entry: Entry = toml::from_str(text)
        .map_err(|error| vec![format!("{file}: {}", error.to_string().trim())])?;
    let id = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("");
    let faults = entry.faults(id);
    if faults.is_empty() {
        Ok(entry.to_rust(id))
    } else {
        Err(faults
            .into_iter()
            .map(|(field, fault)| format!("{file}: {field}: {fault}"))
            .collect())
    }
}

impl Entry {
    fn faults(&self, id: &str) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if id.is_empty() || !id.bytes().all(plain) {
            faults.push((
                "file name",
                "an id has small letters, digits and `-` only".to_owned(),
            ));
        }
        for (field, text) in [
            ("title", &self.title),
            ("cure.text", &self.cure.text),
            ("test", &self.test),
        ] {
            if text.trim().is_empty() {
                faults.push((field, "is empty".to_owned()));
            }
        }
        for (field, list) in [
            ("facts", &self.facts),
            ("now", &self.now),
            ("sources", &self.sources),
        ] {
            if list.is_empty() || list.iter().any(|text| text.trim().is_empty()) {
                faults.push((field, "is empty".to_owned()));
            }
        }
        if self.cure.language.is_some() != self.cure.code.is_some() {
            faults.push(("cure", "`language` and `code` go together".to_owned()));
        }
        let texts = [("title", &self.title), ("cure.text", &self.cure.text)];
        let templates = (self.facts.iter().map(|text| ("facts", text)))
            .chain(self.now.iter().map(|text| ("now", text)))
            .chain(texts);
        for (field, text) in templates {
            match placeholders::names(text) {
                Err(fault) => faults.push((field, fault)),
                Ok(_) if field == "title" && text.contains('{') => {
                    faults.push((field, "takes no placeholders".to_owned()));
                }
                Ok(names) => faults.extend(
                    names
                        .into_iter()
                        .filter(|name| {
                            !placeholders::VALUES.contains(name)
                                && !placeholders::SENTENCES.contains(name)
                        })
                        .map(|name| (field, format!("unknown placeholder {{{name}}}"))),
                ),
            }
        }
        let whens = [("when", &self.when), ("unless", &self.unless)]
            .into_iter()
            .chain(self.rules.iter().map(|rule| ("rule.when", &rule.when)));
        for (field, when) in whens {
            faults.extend(when.faults().into_iter().map(|fault| (field, fault)));
        }
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !self.test.starts_with("cannot be made here: ") && !self.test.bytes().all(word) {
            faults.push((
                "test",
                "is neither the name of a test function nor `cannot be made here: reason`"
                    .to_owned(),
            ));
        }
        faults
    }

    fn to_rust(&self, id: &str) -> String {
        let rules = self
            .rules
            .iter()
            .map(|rule| {
                format!(
                    "Rule {{ confidence: Confidence::{:?}, when: &[{}] }}",
                    rule.confidence,
                    rule.when.to_rust()
                )
            })
            .collect::<Vec<_>>()
            .join(", ");
        format!(
            "Entry {{ id: {id:?}, title: {:?}, tier: Tier::{:?}, when: &[{}], unless: &[{}], \
             confidence: Confidence::{:?}, rules: &[{rules}], facts: &{:?}, now: &{:?}, \
             cure: StaticCure {{ text: {:?}, language: {:?}, code: {:?} }}, \
             sources: &{:?}, test: {:?} }}",
            self.title,
            self.tier,
            self.when.to_rust(),
            self.unless.to_rust(),
            self.confidence,
            self.facts,
            self.now,
            self.cure.text.trim(),
            self.cure.language,
            self.cure.code.as_deref().map(str::trim_end),
            self.sources,
            self.test,
        )
    }
}

impl When {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let lists = [
            ("zombies", &self.zombies),
            ("holder", &self.holder),
            ("command-line", &self.command_line),
            ("driver", &self.driver),
            ("call", &self.call),
        ];
        for (key, list) in lists {
            if list
                .as_ref()
                .is_some_and(|list| list.is_empty() || list.iter().any(String::is_empty))
            {
                faults.push(format!("{key} is empty"));
            }
        }
        for name in self.zombies.iter().flatten() {
            if !name.contains('*') && name.len() > COMM_LENGTH {
                faults.push(format!(
                    "zombies: {name:?} can match nothing: the kernel cuts names at {COMM_LENGTH} bytes"
                ));
            }
        }
        faults
    }

    fn to_rust(&self) -> String {
        // Destructured, so that a new key cannot be forgotten here.
        let Self {
            language,
            zombies,
            holder,
            command_line,
            namespace_init,
            in_container,
            origin,
            session,
            same_name,
            killed,
            first,
            shared_pid_namespace,
            misplaced_init,
            sigchld,
            blocked,
            hindrance,
            waited,
            waiting,
            tracer,
            starts_processes,
            waits_for_one,
            held_pipe,
            missed_by_collector,
            driver,
            call,
        } = self;
        let mut code = String::new();
        words_of(&mut code, "Language", "Language", language);
        words_of(&mut code, "Origin", "Origin", origin);
        words_of(&mut code, "Session", "Session", session);
        words_of(&mut code, "First", "First", first);
        words_of(
            &mut code,
            "SharedPidNamespace",
            "Answer",
            shared_pid_namespace,
        );
        words_of(&mut code, "Sigchld", "SigchldAction", sigchld);
        words_of(&mut code, "Blocked", "Blocked", blocked);
        words_of(&mut code, "Hindrance", "Hindrance", hindrance);
        words_of(&mut code, "Waited", "Answer", waited);
        words_of(&mut code, "Waiting", "Answer", waiting);
        words_of(&mut code, "StartsProcesses", "Answer", starts_processes);
        for (variant, list) in [
            ("Zombies", zombies),
            ("Holder", holder),
            ("CommandLine", command_line),
            ("Driver", driver),
            ("Call", call),
        ] {
            if let Some(list) = list {
                let _ = write!(code, "Condition::{variant}(&{list:?}), ");
            }
        }
        for (variant, value) in [
            ("NamespaceInit", namespace_init),
            ("InContainer", in_container),
            ("SameName", same_name),
            ("Killed", killed),
            ("MisplacedInit", misplaced_init),
            ("Tracer", tracer),
            ("WaitsForOne", waits_for_one),
            ("HeldPipe", held_pipe),
            ("MissedByCollector", missed_by_collector),
        ] {
            if let Some(value) = value {
                let _ = write!(code, "Condition::{variant}({value}), ");
            }
        }
        code
    }
}

/// `Condition::VARIANT(&[TYPE::Word, …]), ` for a list that is there.
fn words_of<T: Debug>(code: &mut String, variant: &str, of: &str, list: &Option<Vec<T>>) {
    let Some(list) = list else { return };
    let words = list
        .iter()
        .map(|word| format!("{of}::{word:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let _ = write!(code, "Condition::{variant}(&[{words}]), ");
}
