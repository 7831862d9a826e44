//! Running the command and reading what it answers.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program under test.
pub(crate) const SEXTON: &str = env!("CARGO_BIN_EXE_sexton");

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `sexton` with these arguments, its output piped.
pub(crate) fn sexton<'a>(args: impl IntoIterator<Item = &'a str>) -> Answer {
    let mut command = Command::new(SEXTON);
    command.args(args);
    answer(&mut command)
}

/// Runs a command that is, or becomes, `sexton`, in an environment that says nothing of colours.
pub(crate) fn answer(command: &mut Command) -> Answer {
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(variable);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .expect("sexton was built");
    Answer {
        status: status.code().expect("sexton exits by itself"),
        stdout: String::from_utf8(stdout).expect("output is UTF-8"),
        stderr: String::from_utf8(stderr).expect("messages are UTF-8"),
    }
}

impl Answer {
    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails the test with all that was said if the exit status is another.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Fails the test unless `document` is what `sexton schema NAME` promises.
#[track_caller]
pub(crate) fn validates(name: &str, document: &Value) {
    let schema = sexton(["schema", name]).expect(0).json();
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

/// The one leak of a report that `pid` holds.
#[track_caller]
pub(crate) fn leak_of(report: &Value, pid: u32) -> &Value {
    let leaks = report["leaks"].as_array().expect("leaks is a list");
    let mut of_pid = leaks.iter().filter(|leak| leak["holder"]["pid"] == pid);
    let leak = of_pid
        .next()
        .unwrap_or_else(|| panic!("no leak of {pid}: {report:#}"));
    assert!(of_pid.next().is_none(), "two leaks of {pid}");
    leak
}
