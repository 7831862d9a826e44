//! What to change so that a container ends on its signal.

use super::facts::{Process, base_name};
use crate::cause::{Cure, First, Language, kind_of_first};
use crate::signal;

fn cure(text: impl Into<String>, language: &str, code: impl Into<String>) -> Cure {
    Cure {
        text: text.into(),
        language: Some(language.to_owned()),
        code: Some(code.into()),
    }
}

/// An init in front.
pub(super) fn init() -> Cure {
    cure(
        "Put an init in front: it is PID 1, passes signals on, and the program, which then is not \
         PID 1, ends on them.",
        "dockerfile",
        "COPY sexton-init /sexton-init\nENTRYPOINT [\"/sexton-init\", \"--\"]\n\
         # Docker, without a new image: docker run --init\n\
         # In a pod: spec.shareProcessNamespace: true\n",
    )
}

/// Another stop signal, which the program does end on.
pub(super) fn stop_signal(number: u8) -> Cure {
    let name = signal::name(number);
    cure(
        format!("It would end on {name}: make that the stop signal."),
        "dockerfile",
        format!(
            "STOPSIGNAL {name}\n# Docker: docker run --stop-signal {name}\n\
             # In a pod (1.33, with spec.os.name): lifecycle.stopSignal: {name}\n"
        ),
    )
}

/// A program that is PID 1 and has no handler.
pub(super) fn no_handler(process: &Process, number: u8) -> Vec<Cure> {
    let kind = kind_of_first(process.executable.as_deref(), &process.command_line);
    let language = process.program.language;
    match (kind, language) {
        (First::KeepAlive, _) => vec![init()],
        (_, Language::Java) => vec![cure(
            "The JVM was started with -Xrs, which leaves signals alone: take it out.",
            "dockerfile",
            "ENTRYPOINT [\"java\", \"-jar\", \"/app.jar\"]\n",
        )],
        (_, Language::Unknown) => vec![init()],
        // These need no code of their own once they are not PID 1.
        _ => vec![handler(language, number), init()],
    }
}

/// A handler in the program's own language.
pub(super) fn handler(language: Language, number: u8) -> Cure {
    let name = signal::name(number);
    let (fence, code) = match language {
        Language::Go => ("go", GO),
        Language::Python => ("python", PYTHON),
        Language::Node => ("javascript", NODE),
        Language::Java => ("java", JAVA),
        Language::Ruby => ("ruby", RUBY),
        Language::Php => ("php", PHP),
        Language::Perl => ("perl", PERL),
        Language::DotNet => ("csharp", DOT_NET),
        Language::Rust => ("rust", RUST),
        Language::Shell => ("sh", SHELL),
        Language::Erlang | Language::Native | Language::Unknown => ("c", NATIVE),
    };
    cure(
        format!("Give the program a handler for {name} that finishes its work and exits."),
        fence,
        code.replace("SIGTERM", &name)
            .replace("@TERM", name.trim_start_matches("SIG")),
    )
}

/// A signal that is ignored.
pub(super) fn ignored(process: &Process, number: u8) -> Vec<Cure> {
    let name = signal::name(number);
    let short = name.trim_start_matches("SIG").to_owned();
    let text = format!(
        "Find who ignores {name}: the program itself, or whoever started it (`trap '' {short}`, \
         nohup), since ignored signals stay ignored across exec."
    );
    if process.program.language == Language::Shell {
        return vec![cure(text, "sh", SHELL.replace("@TERM", &short))];
    }
    // An ignored signal stays ignored behind an init, so that is no cure.
    vec![
        Cure {
            text,
            language: None,
            code: None,
        },
        handler(process.program.language, number),
    ]
}

/// A signal that no thread lets through.
pub(super) fn blocked(number: u8) -> Cure {
    let name = signal::name(number);
    cure(
        format!(
            "Unblock {name} in one thread, or wait for it there with sigwait(3). A mask is \
             inherited across fork and exec: look also at whoever starts the program."
        ),
        "c",
        format!(
            "sigset_t set;\nsigemptyset(&set);\nsigaddset(&set, {name});\n\
             int got;\nsigwait(&set, &got); /* blocked in all threads, taken here */\nshut_down();\n"
        ),
    )
}

/// A process that is stopped.
pub(super) fn continued(pid: u32) -> Cure {
    cure(
        "Find who stopped it (a debugger, SIGSTOP, a background process that reads the terminal); \
         SIGCONT lets it go on, and take what waits.",
        "sh",
        format!("kill -CONT {pid}\n"),
    )
}

/// A container that is frozen.
pub(super) fn thawed() -> Cure {
    cure(
        "Thaw it: a stop can only kill what is frozen.",
        "sh",
        "docker unpause CONTAINER # podman unpause, ctr task resume, runc resume\n",
    )
}

/// A shell that runs the program as a child.
pub(super) fn shell_in_front(shell: &Process, child: Option<&Process>, number: u8) -> Vec<Cure> {
    let Some(child) = child else {
        return vec![handler(Language::Shell, number), init()];
    };
    let script = shell
        .command_line
        .get(1)
        .filter(|word| !word.starts_with('-'));
    let words = &child.command_line;
    let first = match script {
        Some(script) => cure(
            format!(
                "Let the script {} replace itself by the program: `exec` before its last command.",
                base_name(script)
            ),
            "sh",
            format!("exec {}\n", quoted(words)),
        ),
        None => cure(
            "Use the exec form, without a shell in between; or `exec` before the command.",
            "dockerfile",
            format!("ENTRYPOINT {}\n", json(words)),
        ),
    };
    let mut cures = vec![first];
    // Without the shell it is PID 1 itself.
    let handles =
        signal::is_in(child.signals.caught, number) && child.program.language != Language::Node;
    if !handles {
        let mut init = init();
        init.text = format!(
            "Then {} is PID 1 itself, and has no handler: put an init in front as well.",
            child.name
        );
        cures.push(init);
    }
    cures
}

/// A trap that waits for the command in front.
pub(super) fn trap_behind_command(child: &Process, number: u8) -> Vec<Cure> {
    let name = signal::name(number);
    let short = name.trim_start_matches("SIG");
    let command = quoted(&child.command_line);
    vec![
        cure(
            "Start the command with & and sit in `wait`, which a trap interrupts.",
            "sh",
            format!(
                "trap 'kill -{short} \"$child\"' {short}\n{command} &\nchild=$!\n\
                 wait \"$child\" # the trap interrupts it\nwait \"$child\" # until it has ended\n"
            ),
        ),
        cure(
            "Where the trap only passes the signal on: `exec` the command instead.",
            "sh",
            format!("exec {command}\n"),
        ),
    ]
}

/// An init below which a shell does not pass the signal on.
pub(super) fn through_init(init: &str) -> Vec<Cure> {
    let option = match init {
        "dumb-init" => "dumb-init already signals the whole group unless --single-child is given",
        _ => "-g",
    };
    let text = if option == "-g" {
        format!(
            "Processes below the child are killed without a word when it ends: `exec` in the \
             script, or let {init} signal the whole group (-g)."
        )
    } else {
        format!("`exec` in the script, or leave --single-child out: {option}.")
    };
    let code = match init {
        "dumb-init" => "ENTRYPOINT [\"dumb-init\", \"--\"]\n".to_owned(),
        init => format!("ENTRYPOINT [\"{init}\", \"-g\", \"--\"]\n"),
    };
    vec![cure(text, "dockerfile", code)]
}

/// Words as a JSON list, as the exec form wants them.
fn json(words: &[String]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("[{}]", quoted.join(", "))
}

/// Words as a shell takes them.
fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

const GO: &str = "\
ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
defer stop()
<-ctx.Done()
server.Shutdown(context.Background())
";

const PYTHON: &str = "\
import signal, sys
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
";

const NODE: &str = "\
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
});
";

const JAVA: &str = "\
Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop()));
";

const RUBY: &str = "\
trap('SIGTERM') { exit }
";

const PHP: &str = "\
pcntl_async_signals(true);
pcntl_signal(SIGTERM, function () { exit(0); });
";

const PERL: &str = "\
$SIG{@TERM} = sub { exit 0 };
";

const DOT_NET: &str = "\
using var handler = PosixSignalRegistration.Create(
    PosixSignal.SIGTERM, context => lifetime.StopApplication());
";

const RUST: &str = "\
// tokio
let mut stop = tokio::signal::unix::signal(SignalKind::terminate())?;
stop.recv().await;
server.shutdown().await;
";

const SHELL: &str = "\
trap 'kill -@TERM \"$child\"' @TERM
app &
child=$!
wait \"$child\" # the trap interrupts it
wait \"$child\" # until it has ended
";

const NATIVE: &str = "\
static volatile sig_atomic_t stopping;
static void stop(int number) { (void)number; stopping = 1; }

struct sigaction action = { .sa_handler = stop };
sigaction(SIGTERM, &action, NULL);
";
