//! Words of shells and of configuration files: only as much as a cure needs to be right.

use super::facts::{Process, base_name};

/// Seconds from `30`, `30s`, `2m`, `500ms`, `1h`.
pub(super) fn seconds(value: &str) -> Option<u64> {
    let value = value.trim();
    let unit = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (figure, unit) = value.split_at(unit);
    let figure: u64 = figure.parse().ok()?;
    match unit.trim() {
        "" | "s" | "sec" | "seconds" | "second" => Some(figure),
        "ms" => Some(figure.div_ceil(1000)),
        "m" | "min" | "minutes" | "minute" => figure.checked_mul(60),
        "h" => figure.checked_mul(3600),
        _ => None,
    }
}

/// The value of `name` in a configuration file: `name value`, `name = value`, `name: value;`.
pub(super) fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(name)?;
        let value = rest.trim_start_matches([' ', '\t', '=', ':']);
        (value.len() < rest.len() && !value.is_empty())
            .then(|| value.split(['#', ';']).next().unwrap_or(value).trim())
    })
}

/// Seconds that a command sleeps: those of each `sleep N` in it.
pub(super) fn slept(command: &[String]) -> u64 {
    let text = command.join(" ");
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || ";&|\"'()".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    let sleeps = words
        .windows(2)
        .filter(|pair| base_name(pair[0]) == "sleep");
    sleeps
        .filter_map(|pair| seconds(pair[1]))
        .fold(0, u64::saturating_add)
}

/// One command of a shell's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The text before it, with what joins the two.
    pub before: &'a str,
    /// The command, with its words as they were written.
    pub command: &'a str,
    /// It is a part of a pipeline.
    pub piped: bool,
    /// It is started with `&`.
    pub behind: bool,
    /// Its words are what they look like: nothing that a shell would replace.
    pub plain: bool,
}

impl Line<'_> {
    /// Its words, if nothing in them has to be replaced.
    #[must_use]
    pub fn words(&self) -> Option<Vec<String>> {
        self.plain.then(|| split(self.command)).flatten()
    }
}

/// The one command of `text` that started `process`; `None` if that cannot be told. Of several of
/// one program it is the one with its arguments. A script has become another program (`elixir` is
/// `beam.smp`): then it is the only one that is no part of the shell itself.
pub(super) fn line_of<'a>(text: &'a str, process: &Process) -> Option<Line<'a>> {
    let mut found = commands(text)?;
    if found.iter().any(|line| starts(line.command, process)) {
        found.retain(|line| starts(line.command, process));
    } else {
        found.retain(|line| !is_built_in(line.command));
    }
    if found.len() > 1 {
        let arguments = process.command_line.get(1..);
        found.retain(|line| {
            let words = line.words();
            words.as_deref().and_then(|words| words.get(1..)) == arguments
        });
    }
    let line = found.pop()?;
    found.is_empty().then_some(line)
}

/// What a shell does by itself, or what has ended when another command runs.
#[must_use]
pub fn is_built_in(command: &str) -> bool {
    const BUILT_IN: [&str; 26] = [
        ":", ".", "[", "cd", "done", "echo", "exit", "export", "false", "fi", "mkdir", "printf",
        "read", "return", "set", "shift", "source", "test", "trap", "true", "ulimit", "umask",
        "unset", "wait", "chown", "chmod",
    ];
    let first = command.split_ascii_whitespace().next().unwrap_or("");
    BUILT_IN.contains(&first) || first == "}" || first.ends_with("()")
}

/// Its first word is a name of the process, or that of the script that it runs.
pub(super) fn starts(command: &str, process: &Process) -> bool {
    let words = command.split_ascii_whitespace();
    let mut words = words.skip_while(|word| is_assignment(word) || *word == "exec");
    let Some(first) = words
        .next()
        .map(|word| base_name(word.trim_matches(['"', '\''])))
    else {
        return false;
    };
    let arguments = process.command_line.iter().take(2);
    let mut names = arguments
        .map(|word| base_name(word))
        .chain([process.program_name(), process.name.as_str()]);
    !first.is_empty() && names.any(|name| name == first)
}

/// `A=1`; one with quotes is not understood.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, value)| {
        !name.is_empty()
            && !value.contains(['"', '\'', '\\', '(', '`'])
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The commands of a text, in the manner of POSIX's shell language; `None` where it has what is
/// not understood here (here-documents, `case`).
#[must_use]
pub fn commands(text: &str) -> Option<Vec<Line<'_>>> {
    const RESERVED: [&str; 8] = ["then", "do", "else", "{", "!", "if", "while", "until"];
    if text.contains("<<") {
        return None;
    }
    let mut found: Vec<Line<'_>> = Vec::new();
    let mut after_pipe = false;
    for part in parts(text)? {
        let mut start = part.start;
        loop {
            let rest = &text[start..part.end];
            start += rest.len() - rest.trim_start().len();
            let rest = &text[start..part.end];
            let word = rest.split_ascii_whitespace().next().unwrap_or("");
            if !RESERVED.contains(&word) && !is_assignment(word) {
                break;
            }
            start += word.len();
        }
        let command = text[start..part.end].trim_end();
        if !command.is_empty() {
            found.push(Line {
                before: &text[..start],
                command,
                piped: after_pipe || part.then == "|",
                behind: part.then == "&",
                plain: !part.expands,
            });
        }
        after_pipe = part.then == "|";
    }
    Some(found)
}

/// A stretch of text up to an operator.
struct Part {
    start: usize,
    end: usize,
    then: &'static str,
    /// It has something that a shell would replace, or a redirection.
    expands: bool,
}

fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let (mut start, mut expands, mut quote, mut nested) = (0, false, None, 0_usize);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                chars.next();
            }
            ('$' | '`', None | Some('"')) => {
                expands = true;
                if c == '$' && chars.peek().is_some_and(|(_, c)| *c == '(') {
                    let inner = text[at..].split(')').next().unwrap_or("");
                    match quote {
                        // Quotes within quotes are not followed.
                        Some(_) if inner.contains('"') => return None,
                        Some(_) => {}
                        None => {
                            nested += 1;
                            chars.next();
                        }
                    }
                }
            }
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            (')', None) if nested > 0 => nested -= 1,
            ('(' | ')', None) => return None,
            ('#', None) if at == 0 || text[..at].ends_with([' ', '\n', '\t', ';']) => {
                // A comment is passed over as a command of no interest.
                while chars.peek().is_some_and(|(_, c)| *c != '\n') {
                    chars.next();
                }
            }
            ('*' | '?' | '[' | '~' | '<' | '>', None) => expands = true,
            (';' | '\n' | '&' | '|', None) if nested == 0 => {
                // `2>&1`, `&>`
                if c == '&'
                    && (text[..at].ends_with('>') || chars.peek().is_some_and(|(_, c)| *c == '>'))
                {
                    expands = true;
                    continue;
                }
                let doubled = chars.peek().is_some_and(|(_, next)| *next == c);
                let then = match c {
                    '|' if !doubled => "|",
                    '&' if !doubled => "&",
                    _ => "",
                };
                parts.push(Part {
                    start,
                    end: at,
                    then,
                    expands,
                });
                if doubled {
                    chars.next();
                }
                start = at + 1 + usize::from(doubled);
                expands = false;
            }
            _ => {}
        }
    }
    if quote.is_some() || nested > 0 {
        return None;
    }
    parts.push(Part {
        start,
        end: text.len(),
        then: "",
        expands,
    });
    Some(parts)
}

/// Words of a plain command, without their quotes.
#[must_use]
pub fn split(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('\\', Some('"') | None) => word.get_or_insert_default().push(chars.next()?),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, bool, bool)> {
        let lines = commands(text).unwrap_or_default();
        lines
            .into_iter()
            .map(|line| (line.command, line.piped, line.plain))
            .collect()
    }

    #[test]
    fn commands_are_told_apart() {
        assert_eq!(
            found("app --x 'a; b'; true"),
            [("app --x 'a; b'", false, true), ("true", false, true)]
        );
        assert_eq!(
            found("cd /x && A=1 app $P 2>&1 | tee log & wait"),
            [
                ("cd /x", false, true),
                ("app $P 2>&1", true, false),
                ("tee log", true, true),
                ("wait", false, true),
            ]
        );
        assert_eq!(
            found("while true; do app; done"),
            [
                ("true", false, true),
                ("app", false, true),
                ("done", false, true)
            ]
        );
        assert_eq!(found("x \"$(a; b)\""), [("x \"$(a; b)\"", false, false)]);
        for strange in ["cat <<E\nx\nE", "( a )", "echo 'x", "echo $(x"] {
            assert_eq!(commands(strange), None, "{strange}");
        }
        assert_eq!(commands("# it's\napp").map(|all| all.len()), Some(2));
    }

    #[test]
    fn plain_words_lose_their_quotes() {
        let line = &commands("app --save \"\" 'a b' c\\ d").unwrap_or_default()[0];
        assert_eq!(
            line.words(),
            Some(
                ["app", "--save", "", "a b", "c d"]
                    .map(str::to_owned)
                    .to_vec()
            )
        );
    }

    #[test]
    fn settings_and_their_seconds() {
        assert_eq!(
            setting("a 1\n shutdown_lifetime 5 seconds # x", "shutdown_lifetime"),
            Some("5 seconds")
        );
        assert_eq!(setting("stopwaitsecs=20", "stopwaitsecs"), Some("20"));
        assert_eq!(setting("stopwaitsecsx=20", "stopwaitsecs"), None);
        for (text, expected) in [
            ("30", Some(30)),
            ("5 seconds", Some(5)),
            ("500ms", Some(1)),
            ("2m", Some(120)),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
