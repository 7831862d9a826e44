//! The body of a signal's handler in a program's own text, as far as a short look finds it: whether
//! something in it may let the program end.

/// What a handler does that lets a program end: it exits, stops what the program waits for.
const ENDS: [&str; 19] = [
    "exit",
    "quit",
    "raise",
    "throw",
    "die",
    "abort",
    "kill",
    "stop",
    "shutdown",
    "shut_down",
    "close",
    "terminate",
    "cancel",
    "disconnect",
    "destroy",
    "break",
    "interrupt",
    "clearInterval",
    "set(",
];
/// Calls that do nothing but tell.
const TELLS: [&str; 14] = [
    "print", "println", "puts", "echo", "log", "info", "warn", "warning", "error", "debug",
    "write", "flush", "format", "lambda",
];

/// Whether a handler of `signal` in this code lets the program end, or may do so; `None` where no
/// handler is seen.
pub(super) fn lets_end(code: &str, signal: &str) -> Option<bool> {
    let short = signal.trim_start_matches("SIG");
    let named = [
        signal.to_owned(),
        format!("'{short}"),
        format!("\"{short}"),
        format!(":{short}"),
        format!("{{{short}"),
    ];
    let after = named
        .iter()
        .find_map(|name| code.split_once(name.as_str()))?
        .1;
    Some(match of(code, after) {
        Some(body) => may_end(body),
        // A list of signals, a method: whatever the text has.
        None => may_end(code),
    })
}

/// The handler that follows the signal's name in a call: itself, or the function that it names.
fn of<'a>(code: &'a str, after: &'a str) -> Option<&'a str> {
    let rest = after.trim_start_matches(['\'', '"', ')', '}', ' ']);
    // `signal(SIGTERM, f)`, `trap('TERM') { … }`, `$SIG{TERM} = sub { … }`
    let begins = rest.strip_prefix([',', '=']).unwrap_or(rest).trim_start();
    let name = begins
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()?;
    let then = &begins[name.len()..];
    if !name.is_empty() && then.trim_start().starts_with([')', ';', ',']) {
        return defined(code, name);
    }
    let is_inline = begins.starts_with(['{', '(']) || INLINE.contains(&name);
    is_inline.then(|| enclosed(begins))
}

/// Words with which a function without a name begins.
const INLINE: [&str; 7] = ["lambda", "function", "sub", "fn", "async", "do", "proc"];

/// The body of a function of this name.
fn defined<'a>(code: &'a str, name: &str) -> Option<&'a str> {
    let python = format!("def {name}(");
    if let Some(at) = code.find(&python) {
        let indent = at - code[..at].rfind('\n').map_or(0, |end| end + 1);
        let body = code[at..].split_once('\n').map_or("", |(_, body)| body);
        let inside = |line: &&str| {
            let text = line.trim_start();
            text.is_empty() || line.len() - text.len() > indent
        };
        let length = body
            .split_inclusive('\n')
            .take_while(inside)
            .map(str::len)
            .sum();
        return body.get(..length);
    }
    // Its arguments belong to it.
    let function = format!("function {name}(");
    let variable = format!("{name} = ");
    let after = |begins: &str, less: usize| Some(code.find(begins)? + begins.len() - less);
    let at = after(&function, 1).or_else(|| after(&variable, 0))?;
    Some(enclosed(&code[at..]))
}

/// As far as the brackets go that it begins, or to the end of its line.
fn enclosed(text: &str) -> &str {
    let mut depth = 0_i32;
    let mut braces = false;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => {
                depth += 1;
                braces |= c == '{';
            }
            ')' | ']' | '}' => {
                depth -= 1;
                if depth < 0 || (depth == 0 && c == '}') {
                    return &text[..at];
                }
            }
            '\n' if depth == 0 && !braces => return &text[..at],
            _ => {}
        }
    }
    text
}

/// It ends something, sets something, or calls what is not known.
fn may_end(body: &str) -> bool {
    let sets = |at: usize| {
        let (before, after) = (&body[..at], &body[at + 1..]);
        !before.ends_with(['=', '!', '<', '>']) && !after.starts_with(['=', '>'])
    };
    let calls = |at: usize| {
        let name =
            body[..at].trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != ')');
        let start = name
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |at| at + 1);
        let name = &name[start..];
        body[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && !TELLS.contains(&name)
            && !INLINE.contains(&name)
    };
    ENDS.iter().any(|word| body.contains(word))
        || body.match_indices('=').any(|(at, _)| sets(at))
        || body.match_indices('(').any(|(at, _)| calls(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_does_is_found_in_its_body() {
        for (code, expected) in [
            (
                "signal.signal(signal.SIGTERM, lambda *_: None)",
                Some(false),
            ),
            (
                "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))",
                Some(true),
            ),
            (
                "def stop(*a):\n    print('got')\n\nsignal.signal(signal.SIGTERM, stop)\nexit(1)",
                Some(false),
            ),
            (
                "def stop(*a):\n    global run\n    run = False\nsignal.signal(signal.SIGTERM, stop)",
                Some(true),
            ),
            ("loop.add_signal_handler(signal.SIGTERM, e.set)", Some(true)),
            ("import app", None),
            ("trap('TERM') {}; exit", Some(false)),
            ("trap(:TERM) { exit }", Some(true)),
            ("Signal.trap(\"TERM\") { $stop = true }", Some(true)),
            ("$SIG{TERM} = sub {}; exit", Some(false)),
            ("$SIG{TERM} = sub { exit 0 };", Some(true)),
            (
                "process.on('SIGTERM', () => { console.log('no') }); f.close()",
                Some(false),
            ),
            ("process.on('SIGTERM', () => graceful())", Some(true)),
            (
                "const f = () => { console.log(1) };\nprocess.on('SIGTERM', f); exit",
                Some(false),
            ),
            (
                "function f() { s.close() }\nprocess.on('SIGTERM', f)",
                Some(true),
            ),
            (
                "['SIGINT', 'SIGTERM'].forEach(s => process.on(s, () => process.exit()))",
                Some(true),
            ),
        ] {
            assert_eq!(lets_end(code, "SIGTERM"), expected, "{code}");
        }
    }
}
