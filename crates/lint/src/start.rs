//! What a container starts with, as the processes that it becomes, and what a stop signal then does.
//!
//! The processes are made up from the words of the command; what each does is asked of the audit's
//! judge, which has measured it. What cannot be told from the words alone is not judged.

mod made;

use sexton_core::audit::{Process, Verdict, is_built_into_shells, judge, shell_commands};
use sexton_core::cause::{First, Language, is_shell, kind_of_first};
use sexton_core::signal;

use made::{facts, plain};

/// Longer scripts are of programs, not of containers.
const LONGEST_SCRIPT: usize = 64 << 10;
/// A command within a command within …
const DEEPEST: u32 = 8;

/// Why a container does not end, or loses work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Deaf {
    /// The rule that it breaks.
    pub(crate) rule: &'static str,
    /// What is wrong, and what to write.
    pub(crate) message: String,
}

/// They end by themselves, so that a container of them is not stopped.
const ONE_SHOT: [&str; 16] = [
    "cat", "cp", "curl", "date", "df", "env", "grep", "id", "ls", "mount", "mv", "ps", "rm", "sed",
    "tar", "uname",
];

/// How a command is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Docker puts a shell in front.
    ShellForm,
    /// As a list of words.
    List,
}

/// What is wrong with a container that starts with these words as PID 1; `scripts` finds the text of a
/// script by its path.
pub(crate) fn deaf<'a>(
    words: &[String],
    written: Written,
    stop: u8,
    scripts: &dyn Fn(&str) -> Option<&'a str>,
) -> Option<Deaf> {
    let words = past_exec(words);
    let main = process(words, scripts, 1)?;
    let found = judge(&facts(main.clone(), stop));
    if found.verdict == Verdict::Ends && found.unheard.is_empty() {
        return None;
    }
    let rule = broken(words, written, &main)?;
    let signal = signal::name(stop);
    let what = found
        .unheard
        .first()
        .map(|child| child.command_line.join(" "));
    let what = what.map_or_else(String::new, |what| format!(" `{what}`"));
    let name = &main.name;
    let message = match rule {
        "SX104" => format!(
            "`{name}` is PID 1, drops {signal} and waits for no child. Start the program itself, or put \
             an init in front (`init: true`, `tini --`)."
        ),
        "SX105" => format!(
            "`{name}` is PID 1: {}. Start the program itself{}.",
            found.summary,
            if name == "npm" || name == "yarn" {
                ", as its script in package.json does"
            } else {
                ""
            }
        ),
        "SX107" => format!(
            "{}: {signal} to PID 1 does nothing without a handler. Write a handler, or put an init in \
             front.",
            found.summary
        ),
        _ => format!(
            "The shell stays PID 1 and passes no signal on: what it starts{what} never hears of {signal} \
             and is killed after the grace period. {}",
            match rule {
                "SX101" =>
                    "Write it as a list, `[\"program\", \"argument\"]`; of several commands, put `exec` before the last.",
                "SX103" => "Write `exec` before the last command of the script.",
                _ => "Put `exec` before the last command.",
            }
        ),
    };
    Some(Deaf { rule, message })
}

/// The words with the shell that `sh` is in an image of this name: dash stays in front of the only command
/// of `-c`, bash and busybox become it. `stays` is what is taken for true where the name does not tell.
pub(crate) fn with_its_shell(mut words: Vec<String>, image: &str, stays: bool) -> Vec<String> {
    const BECOME: [&str; 12] = [
        "alpine",
        "busybox",
        "ubi",
        "centos",
        "fedora",
        "rocky",
        "almalinux",
        "amazonlinux",
        "opensuse",
        "redhat",
        "wolfi",
        "chainguard",
    ];
    const STAY: [&str; 8] = [
        "debian", "ubuntu", "slim", "bookworm", "bullseye", "trixie", "jammy", "noble",
    ];
    let has = |names: &[&str]| {
        let mut parts = image.split(|c: char| !c.is_ascii_alphabetic());
        parts.any(|part| names.contains(&part))
    };
    let is_sh = words.first().is_some_and(|word| base_name(word) == "sh");
    if is_sh && (has(&BECOME) || !(stays || has(&STAY))) {
        words[0] = "ash".to_owned();
    }
    words
}

/// The rule that a command breaks, by what stands first behind its inits.
fn broken(words: &[String], written: Written, main: &Process) -> Option<&'static str> {
    let mut first = main;
    while kind(first) == First::Init {
        first = first.children.first()?;
    }
    let behind_init = !std::ptr::eq(first, main);
    Some(match kind(first) {
        First::KeepAlive => "SX104",
        First::Shell if first.texts.is_empty() && written == Written::ShellForm && !behind_init => {
            "SX101"
        }
        First::Shell if words.iter().any(|word| word == "-c" || is_c(word)) => "SX102",
        First::Shell => "SX103",
        _ if first.children.is_empty() => "SX107",
        _ => "SX105",
    })
}

fn kind(process: &Process) -> First {
    kind_of_first(None, &process.command_line)
}

/// The processes that these words become; `None` where the words do not tell.
fn process<'a>(
    words: &[String],
    scripts: &dyn Fn(&str) -> Option<&'a str>,
    depth: u32,
) -> Option<Process> {
    let words = past_exec(words);
    let name = base_name(words.first()?);
    if depth > DEEPEST {
        return None;
    }
    let below = |words: &[String]| process(words, scripts, depth + 1);
    let mut made = plain(words, depth);
    match kind(&made) {
        // Of a file it is the content, and then it ends.
        First::KeepAlive if name == "cat" && words.len() > 1 => return None,
        First::KeepAlive => return Some(made),
        First::Init => {
            made.signals.caught = u64::MAX;
            made.children.push(below(command_of_init(words)?)?);
            return Some(made);
        }
        _ => {}
    }
    if is_shell(name) {
        return shell(made, words, scripts, depth);
    }
    match name {
        "npm" | "npx" | "yarn" => {
            let is_run = |word: &String| {
                matches!(
                    word.as_str(),
                    "start" | "run" | "run-script" | "exec" | "serve" | "dev"
                )
            };
            words.get(1).filter(|word| name == "npx" || is_run(word))?;
            made.program.language = Language::Node;
            made.signals.caught = CAUGHT;
            let mut shell = plain(&own(&["sh", "-c", "node"]), depth + 1);
            shell.children.push(plain(&own(&["node"]), depth + 2));
            made.children.push(shell);
        }
        "timeout" | "su" | "runuser" => {
            made.signals.caught = CAUGHT;
            made.children.push(plain(&own(&["program"]), depth + 1));
        }
        "flock" => {
            let at = words
                .iter()
                .skip(1)
                .position(|word| !word.starts_with('-'))?
                + 2;
            made.children.push(plain(words.get(at..)?, depth + 1));
        }
        "java" => {
            if !words.iter().any(|word| word == "-Xrs") {
                return None;
            }
        }
        "python" | "python3" => {
            let module = words
                .windows(2)
                .any(|two| two[0] == "-m" && two[1] == "http.server");
            let script = words.iter().skip(1).find(|word| word.ends_with(".py"));
            let text = script.and_then(|path| scripts(path));
            if !module && !text.is_some_and(is_deaf_python) {
                return None;
            }
        }
        _ => {
            // A script that names its shell itself.
            let text = scripts(words.first()?)?;
            let shebang = text.lines().next()?.strip_prefix("#!")?;
            let mut of = shebang.split_ascii_whitespace().map(base_name);
            let interpreter = of.find(|word| *word != "env")?;
            if !is_shell(interpreter) {
                return None;
            }
            let line = [&own(&[interpreter])[..], words].concat();
            return shell(plain(&line, depth), &line, scripts, depth);
        }
    }
    Some(made)
}

/// A shell with the command that it waits for; or that command, where the shell becomes it.
fn shell<'a>(
    mut made: Process,
    words: &[String],
    scripts: &dyn Fn(&str) -> Option<&'a str>,
    depth: u32,
) -> Option<Process> {
    let options = words
        .iter()
        .skip(1)
        .take_while(|word| word.starts_with('-'));
    let at = 1 + options.count();
    let given = words[1..at].iter().any(|word| is_c(word));
    let text = match given {
        true => words.get(at)?.as_str(),
        false => scripts(words.get(at)?)?,
    };
    // `$@` of another's command, traps and long scripts are not followed.
    if text.len() > LONGEST_SCRIPT || text.contains("trap ") || text.contains("\"$@\"") {
        return None;
    }
    let all = shell_commands(text)?;
    let commands: Vec<_> = all
        .iter()
        .filter(|line| !line.command.starts_with('#'))
        .collect();
    let last = commands.last()?;
    if let Some(rest) = last.command.strip_prefix("exec ") {
        let is_only_end = !last.piped && !last.behind;
        let line: Vec<String> = last.words()?.into_iter().skip(1).collect();
        return (is_only_end && !rest.is_empty()).then(|| process(&line, scripts, depth + 1))?;
    }
    // One of several ways through the script has `exec`; which is taken is not known.
    if commands
        .iter()
        .any(|line| line.command.starts_with("exec "))
    {
        return None;
    }
    // bash and busybox become the only command of `-c` by themselves; Debian's dash does not. Which of
    // them `sh` is, the words do not tell.
    let is_one = commands.len() == 1 && !last.piped && !last.behind;
    if given && is_one && matches!(base_name(&words[0]), "bash" | "ash" | "busybox") {
        return process(&last.words()?, scripts, depth + 1);
    }
    let in_front = last;
    let first = in_front.command.split_ascii_whitespace().next()?;
    let unclear = ["fi", "done", "}", "esac", "(", "((", "[["];
    if first != "wait" && (is_built_into_shells(in_front.command) || unclear.contains(&first)) {
        return None;
    }
    if ONE_SHOT.contains(&base_name(first)) {
        return None;
    }
    if in_front.behind || first.contains(['$', '`']) {
        return None;
    }
    let line: Vec<String> = match in_front.words() {
        Some(words) => words,
        None => in_front
            .command
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
    };
    if !given {
        made.texts.push(sexton_core::audit::Text {
            path: words[at].clone(),
            content: text.to_owned(),
        });
    }
    made.program.language = Language::Shell;
    made.children.push(plain(&line, depth + 1));
    Some(made)
}

/// Words behind what only prepares and then becomes its command.
fn past_exec(words: &[String]) -> &[String] {
    let Some(first) = words.first() else {
        return words;
    };
    let rest = match base_name(first) {
        "exec" | "nohup" => 1,
        "gosu" | "su-exec" => 2,
        "env" => {
            let set = words.iter().skip(1).take_while(|word| word.contains('='));
            1 + set.count()
        }
        _ => return words,
    };
    past_exec(words.get(rest..).unwrap_or_default())
}

/// `tini -g -- app`: what is behind `--`, or behind the options.
fn command_of_init(words: &[String]) -> Option<&[String]> {
    let after = match words.iter().position(|word| word == "--") {
        Some(at) => at + 1,
        None => {
            words
                .iter()
                .skip(1)
                .position(|word| !word.starts_with('-'))?
                + 1
        }
    };
    words.get(after..).filter(|rest| !rest.is_empty())
}

/// What a Python script needs to hear SIGTERM is in none of these, nor does it name a signal.
fn is_deaf_python(text: &str) -> bool {
    const NO_HANDLERS: [&str; 24] = [
        "argparse",
        "base64",
        "collections",
        "csv",
        "datetime",
        "flask",
        "functools",
        "hashlib",
        "http",
        "json",
        "logging",
        "os",
        "pathlib",
        "random",
        "re",
        "requests",
        "shutil",
        "socket",
        "string",
        "subprocess",
        "sys",
        "time",
        "typing",
        "urllib",
    ];
    if text.len() > LONGEST_SCRIPT || text.contains("signal") || text.contains("import(") {
        return false;
    }
    let mut lines = text.lines().map(str::trim_start);
    let known = lines.all(|line| {
        let modules = match (line.strip_prefix("import "), line.strip_prefix("from ")) {
            (Some(names), _) => names,
            (None, Some(name)) => name.split(' ').next().unwrap_or(""),
            (None, None) => return true,
        };
        modules.split(',').all(|module| {
            let module = module.split_ascii_whitespace().next().unwrap_or("");
            NO_HANDLERS.contains(&module.split('.').next().unwrap_or(""))
        })
    });
    // One that does not stay is not stopped.
    let stays = ["while True", "serve_forever", "app.run("];
    known && stays.iter().any(|word| text.contains(word))
}

/// SIGINT and SIGTERM have handlers.
const CAUGHT: u64 = 1 << 1 | 1 << 14;

fn own(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// `-c`, `-ec`, `-lc`
fn is_c(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.ends_with('c')
}

pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// An init is what the words begin with.
pub(crate) fn has_init(words: &[String]) -> bool {
    kind_of_first(None, words) == First::Init
}

/// Inits that must be PID 1 of their namespace: s6-overlay and systemd.
pub(crate) fn must_be_first(words: &[String]) -> bool {
    let first = words.first().map(String::as_str);
    matches!(
        first,
        Some("/init" | "/sbin/init" | "/lib/systemd/systemd" | "/usr/lib/systemd/systemd")
    )
}

#[cfg(test)]
mod tests;
