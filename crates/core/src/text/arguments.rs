//! A command line without what may be secret in it.

/// Stands for arguments that are not shown.
pub const HIDDEN: &str = "…";

/// Program and script: `python3 -u crawl.py --token X` becomes `python3 crawl.py …`.
///
/// The program is the first word of the first argument, which a process may have rewritten into a
/// whole sentence. The script is the first argument of an interpreter that is no option and looks
/// like the path of a file. Options before it are passed over only where they cannot have a value
/// of their own, so that a value is never taken for the script. Nothing else is shown.
#[must_use]
pub fn program_and_script(command_line: &[String]) -> Vec<String> {
    let Some((title, arguments)) = command_line.split_first() else {
        return vec![];
    };
    let program = title.split_whitespace().next().unwrap_or_default();
    let mut shown = vec![program.to_owned()];
    let script = flags_of(program)
        .and_then(|flags| arguments.iter().find(|argument| !is_flag(argument, flags)))
        .filter(|script| is_path(script));
    shown.extend(script.cloned());
    if program != title || shown.len() < command_line.len() {
        shown.push(HIDDEN.to_owned());
    }
    shown
}

/// The options of one letter without a value that an interpreter knows; `None` for what is none.
fn flags_of(program: &str) -> Option<&'static str> {
    let name = program.rsplit('/').next().unwrap_or(program);
    // `python3.12`, `ruby2.7`.
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    Some(match name {
        "python" | "pypy" => "bBdEiIOPqsSuvx",
        "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh" => "aefhilmnuvx",
        "perl" => "aclnpstTuUwWX",
        "ruby" => "alnpsSvwW",
        "node" | "nodejs" | "bun" | "deno" => "i",
        "php" => "aCHnq",
        "lua" | "luajit" => "iEW",
        _ => return None,
    })
}

/// An option that brings its value along, or has none.
fn is_flag(argument: &str, flags: &str) -> bool {
    match argument.strip_prefix("--") {
        Some(long) => long.contains('='),
        None => argument.strip_prefix('-').is_some_and(|letters| {
            !letters.is_empty() && letters.chars().all(|c| flags.contains(c))
        }),
    }
}

/// It looks like the path of a file, and like nothing that could carry a secret.
fn is_path(argument: &str) -> bool {
    const LONGEST: usize = 256;
    let in_path = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    !argument.starts_with('-')
        && argument.len() <= LONGEST
        && argument.contains(['/', '.'])
        && argument.chars().all(in_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command_line: &[&str]) -> String {
        let words: Vec<String> = command_line.iter().map(|&word| word.to_owned()).collect();
        program_and_script(&words).join(" ")
    }

    #[test]
    fn program_and_script_are_shown() {
        for (command_line, expected) in [
            (&["nginx"][..], "nginx"),
            (&["/usr/bin/nginx", "-g", "daemon off;"], "/usr/bin/nginx …"),
            (&["python3", "crawl.py"], "python3 crawl.py"),
            (
                &["python3", "-u", "crawl.py", "--token", "X"],
                "python3 crawl.py …",
            ),
            (
                &["/opt/v/bin/python3.12", "-uB", "/app/main.py"],
                "/opt/v/bin/python3.12 /app/main.py …",
            ),
            (
                &["node", "--max-old-space-size=4096", "dist/server.js"],
                "node dist/server.js …",
            ),
            (
                &["bash", "-ex", "/entry.sh", "secret/word"],
                "bash /entry.sh …",
            ),
            (&["nginx: master process /usr/sbin/nginx -c x"], "nginx: …"),
            (&["celery worker --password hunter2"], "celery …"),
            (&[], ""),
            (&[""], ""),
            (&["", "secret"], " …"),
        ] {
            assert_eq!(shown(command_line), expected);
        }
    }

    #[test]
    fn a_value_is_never_taken_for_the_script() {
        for command_line in [
            &["python3", "-W", "secret.word", "crawl.py"][..],
            &["python3", "-c", "open('secret.word')"],
            &["python3", "-m", "secret.word"],
            &["python3", "-uc", "secret.word"],
            &["bash", "-c", "secret/word"],
            &["bash", "-o", "secret.word"],
            &["bash", "--rcfile", "secret.word"],
            &["bash", "--", "-secret.word"],
            &["bash", "-", "-secret.word"],
            &["node", "-r", "secret.word", "x.js"],
            &["node", "-e", "secret.word"],
            &["node", "--require", "secret.word"],
            &["perl", "-e", "secret.word"],
            &["perl", "-Isecret.word"],
            &["ruby", "-rsecret.word"],
            &["php", "-r", "secret.word"],
            &["mysql", "secret.word"],
            &["java", "-jar", "secret.word"],
            &["env", "secret.word"],
            &["python3", "https://user:secret.word@host/"],
            &["python3", "KEY=secret.word"],
            &["python3", "secret word.py"],
            &["python3", "secretword"],
        ] {
            let shown = shown(command_line);
            assert!(!shown.contains("secret"), "{command_line:?}: {shown}");
        }
    }
}
