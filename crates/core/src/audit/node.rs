//! What a Node.js program's own text tells of its handlers: the masks of the kernel do not tell, as
//! node catches SIGTERM and SIGINT for itself.

use super::body;
use super::facts::{Process, Text, base_name, option_of};
use super::source::Handler;
use crate::signal;

/// As much of a file as is read; what is longer is not known whole.
pub(super) const LARGEST: usize = 64 << 10;

/// Files beside one that are looked for; who takes in more is not known whole.
const MOST: usize = 64;

/// Modules of node itself, which make no handler.
const BUILT_IN: [&str; 39] = [
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "stream",
    "string_decoder",
    "timers",
    "tls",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];
/// Endings that `require` tries.
const ENDINGS: [&str; 7] = [
    "",
    ".js",
    ".cjs",
    ".mjs",
    ".json",
    "/index.js",
    "/index.mjs",
];

/// It is node itself. bun and deno bear its marks, and have no handler that misleads.
pub(super) fn is_node(process: &Process) -> bool {
    !process.program_name().starts_with("bun") && process.program_name() != "deno"
}

/// The script that it runs, as its command line names it.
pub(super) fn script(process: &Process) -> Option<&str> {
    if given(process).is_some() {
        return None;
    }
    let words = command_line(process).get(1..)?;
    let first = words.iter().find(|word| !word.starts_with('-'))?;
    // An option before it may take it for its value: `-r MODULE`, `--import MODULE`.
    let alone = words
        .iter()
        .take_while(|word| *word != first)
        .all(|word| word.contains('=') || VALUELESS.contains(&word.as_str()));
    alone.then_some(first.as_str())
}

/// Options of no value that are seen before scripts.
const VALUELESS: [&str; 6] = [
    "--",
    "--expose-gc",
    "--enable-source-maps",
    "--no-warnings",
    "--trace-warnings",
    "--experimental-modules",
];

/// Code on the command line.
fn given(process: &Process) -> Option<&str> {
    option_of(
        command_line(process),
        &["-e", "--eval", "-p", "--print", "-pe"],
    )
}

/// Its words as it was started with them, where it has written a title over them.
fn command_line(process: &Process) -> &[String] {
    let told = process.started_as.as_deref();
    let is_node = |words: &&[String]| {
        let first = words.first().map_or("", |word| base_name(word));
        matches!(first, "node" | "nodejs")
    };
    told.filter(is_node).unwrap_or(&process.command_line)
}

/// Files that a text takes in from beside itself, each under the names that it may have.
pub(super) fn taken_in(text: &Text) -> Vec<String> {
    let code = without_comments(&text.content);
    let beside = modules(&code).into_iter().flatten();
    let beside = beside.filter(|module| is_beside(module)).take(MOST);
    beside
        .flat_map(|module| ENDINGS.map(|ending| format!("{}{ending}", joined(&text.path, module))))
        .collect()
}

/// What the text of a node process tells of a handler for a signal.
pub(super) fn handler(process: &Process, number: u8) -> Handler {
    let name = signal::name(number);
    let files = process.texts.iter();
    let texts: Vec<(&str, String)> = given(process)
        .into_iter()
        .map(|text| ("", without_comments(text)))
        .chain(files.map(|text| (text.path.as_str(), without_comments(&text.content))))
        .collect();
    let has = |word: &str| texts.iter().any(|(_, code)| code.contains(word));
    let listened: Vec<Option<&str>> = texts.iter().flat_map(|(_, code)| listened(code)).collect();
    let computed = listened.contains(&None);
    if texts.is_empty() {
        Handler::Unclear
    } else if listened.contains(&Some(&name)) || (computed && has(&name)) {
        // One that does nothing of the kind keeps it alive, or is not understood.
        if texts
            .iter()
            .any(|(_, code)| body::lets_end(code, &name) == Some(true))
        {
            Handler::Made
        } else {
            Handler::Unclear
        }
    } else if computed
        || OBSCURE.iter().any(|word| has(word))
        || preloads(process)
        || !texts
            .iter()
            .all(|(path, code)| is_whole(process, path, code))
    {
        Handler::Unclear
    } else {
        Handler::None
    }
}

/// Ways to make a handler, or to take in code, that are not followed.
const OBSCURE: [&str; 6] = [
    "eval(",
    "Function(",
    "process[",
    "= process;",
    "createRequire",
    "process.binding",
];

/// Events that a text listens to on `process`; `None` for a name that is computed.
fn listened(code: &str) -> Vec<Option<&str>> {
    let calls = ["on(", "once(", "addListener(", "prependListener("];
    let found = code.match_indices("process.").filter_map(|(at, before)| {
        let rest = &code[at + before.len()..];
        let call = calls.into_iter().find(|call| rest.starts_with(call))?;
        Some(quoted(&rest[call.len()..]))
    });
    found.collect()
}

/// Modules are loaded before the script, of which nothing is known.
fn preloads(process: &Process) -> bool {
    let is_one = |word: &str| {
        [
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
        ]
        .iter()
        .any(|option| word == *option || word.starts_with(&format!("{option}=")))
    };
    let by_variable = process.variable("NODE_OPTIONS").unwrap_or_default();
    command_line(process).iter().any(|word| is_one(word))
        || by_variable.split_ascii_whitespace().any(is_one)
}

/// All that a text takes in is node's own or was read, too.
fn is_whole(process: &Process, path: &str, code: &str) -> bool {
    let was_read = |module: &str| {
        let name = joined(path, module);
        process.texts.iter().any(|text| {
            let rest = text.path.strip_prefix(&name);
            rest.is_some_and(|rest| ENDINGS.contains(&rest))
        })
    };
    let known = |module: Option<&str>| {
        module.is_some_and(|module| {
            let plain = module.strip_prefix("node:").unwrap_or(module);
            let plain = plain.split('/').next().unwrap_or(plain);
            if is_beside(module) {
                was_read(module)
            } else {
                BUILT_IN.contains(&plain)
            }
        })
    };
    code.len() < LARGEST && modules(code).into_iter().all(known)
}

fn is_beside(module: &str) -> bool {
    module.starts_with("./") || module.starts_with("../")
}

/// The modules that it names: `require('x')`, `import('x')`, `import … from 'x'`, `import 'x'`;
/// `None` for one that is computed.
fn modules(code: &str) -> Vec<Option<&str>> {
    let mut found = Vec::new();
    for call in ["require(", "import("] {
        let calls = code.match_indices(call);
        found.extend(calls.map(|(at, _)| quoted(&code[at + call.len()..])));
    }
    for line in code.lines().map(str::trim_start) {
        let Some(rest) = line.strip_prefix("import").or(line.strip_prefix("export")) else {
            // The end of one of several lines.
            if let Some(rest) = line.strip_prefix('}')
                && let Some(rest) = rest.trim_start().strip_prefix("from")
            {
                found.push(quoted(rest));
            }
            continue;
        };
        let after = rest.rsplit_once(" from ").map(|(_, module)| module);
        if let Some(module) = after.or(rest.starts_with([' ', '\'', '"']).then_some(rest)) {
            // `import {` goes on, `export const` takes nothing in.
            found.extend(quoted(module).map(Some));
        }
    }
    found
}

/// The string that a text begins with.
fn quoted(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| "'\"`".contains(*c))?;
    let (inner, rest) = text[1..].split_once(quote)?;
    let is_all =
        rest.trim_start().is_empty() || rest.trim_start().starts_with([')', ';', ',', '\n']);
    (is_all && !inner.contains("${")).then_some(inner)
}

/// `./x` as seen from a file.
fn joined(path: &str, module: &str) -> String {
    let directory = path.strip_suffix(base_name(path)).unwrap_or("");
    let mut parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in module.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if directory.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// Its code; a handler in a comment is none.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some(_)) => {
                code.push(c);
                code.extend(chars.next());
                continue;
            }
            (c, Some(open)) if c == open => quote = None,
            // A string of one line ends with it, whatever was taken for its beginning.
            ('\n', Some('\'' | '"')) => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"' | '`', None) => quote = Some(c),
            ('/', None) if chars.peek() == Some(&'/') => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
                continue;
            }
            ('/', None) if chars.peek() == Some(&'*') => {
                chars.next();
                let mut star = false;
                for c in chars.by_ref() {
                    if star && c == '/' {
                        break;
                    }
                    star = c == '*';
                }
                continue;
            }
            _ => {}
        }
        code.push(c);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_left_out_and_strings_are_kept() {
        assert_eq!(
            without_comments("a('http://x') // process.on('SIGTERM')\n/* b */c"),
            "a('http://x') \nc"
        );
    }

    #[test]
    fn one_that_takes_in_thousands_costs_no_more_than_its_own_text() {
        let content = (0..5000).map(|n| format!("require('./{n}');")).collect();
        let path = "/x.js".to_owned();
        assert_eq!(
            taken_in(&Text { path, content }).len(),
            MOST * ENDINGS.len()
        );
    }

    #[test]
    fn listened_events_are_named() {
        let code = "process.on('exit', f); process.once( \"SIGTERM\", g); process.on(s, h)";
        assert_eq!(listened(code), [Some("exit"), Some("SIGTERM"), None]);
    }

    #[test]
    fn modules_are_named() {
        let code = "const a = require('./a'), b = require(\"b\");\nimport c from 'node:fs';\n\
                    import {\n d,\n} from './d.mjs'\nimport './e.js';\nexport const f = 1;\n\
                    await import('g'); require(h)";
        let mut found = modules(code);
        found.sort_unstable();
        let mut expected = [
            Some("./a"),
            Some("b"),
            Some("node:fs"),
            Some("./d.mjs"),
            Some("./e.js"),
            Some("g"),
            None,
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(joined("/srv/app/x.js", "../lib/y"), "/srv/lib/y");
    }
}
