//! What is found in a command, and what is not.

use super::*;

fn found(words: &[&str]) -> Option<&'static str> {
    let scripts = |path: &str| match path {
        "/run.sh" => Some("#!/bin/sh\nset -e\nmkdir -p /x\nserver --port 80\n"),
        "/good.sh" => Some("#!/bin/bash\nmkdir -p /x\nexec server --port 80\n"),
        "/or.sh" => Some("#!/bin/sh\nif test -e /x; then exec a; fi\nb\n"),
        "/args.sh" => Some("#!/bin/sh\nmkdir /x\n\"$@\"\n"),
        "app.py" => Some("import time\nwhile True:\n    time.sleep(1)\n"),
        "heard.py" => Some("import signal, time\nwhile True:\n    time.sleep(1)\n"),
        _ => None,
    };
    deaf(&own(words), Written::List, signal::SIGTERM, &scripts).map(|deaf| deaf.rule)
}

#[test]
fn each_rule_has_those_that_break_it_and_those_that_keep_it() {
    for (rule, words) in [
        ("SX102", &["sh", "-c", "migrate && server"][..]),
        ("SX102", &["/bin/bash", "-ec", "migrate; server --x"]),
        ("SX102", &["tini", "--", "sh", "-c", "migrate && server"]),
        ("SX103", &["/run.sh"]),
        ("SX103", &["sh", "-e", "/run.sh"]),
        ("SX104", &["sleep", "infinity"]),
        ("SX104", &["tail", "-f", "/dev/null"]),
        ("SX104", &["sh", "-c", "exec tail -f /dev/null"]),
        ("SX105", &["npm", "start"]),
        ("SX105", &["yarn", "start"]),
        ("SX105", &["flock", "/lock", "server"]),
        ("SX105", &["bash", "-c", "flock /lock server"]),
        ("SX107", &["python", "-m", "http.server"]),
        ("SX107", &["python3", "app.py"]),
        ("SX107", &["java", "-Xrs", "-jar", "app.jar"]),
    ] {
        assert_eq!(found(words), Some(rule), "{words:?}");
    }
    for words in [
        &["server"][..],
        &["sh", "-c", "migrate && exec server"],
        &["bash", "-c", "server"],
        &["bash", "-c", "server $X >>/log 2>&1"],
        &["/good.sh"],
        &["/or.sh"],
        &["/args.sh"],
        &["/unknown.sh"],
        &["tini", "--", "sleep", "infinity"],
        &["tini", "--", "server"],
        &["python3", "heard.py"],
        &["python3", "unknown.py"],
        &["java", "-jar", "app.jar"],
        &["npm", "install"],
        &["timeout", "5", "server"],
        &["node", "app.js"],
        &["gosu", "me", "server"],
        &["cat", "/etc/os-release"],
        &["sh", "-c", "mount && ls -la /dev/"],
        &[],
    ] {
        assert_eq!(found(words), None, "{words:?}");
    }
}

#[test]
fn the_name_of_an_image_tells_its_shell() {
    let rule = |image, stays, text: &str| {
        let words = with_its_shell(own(&["/bin/sh", "-c", text]), image, stays);
        deaf(&words, Written::List, 15, &|_| None).map(|deaf| deaf.rule)
    };
    assert_eq!(rule("node:22-alpine3.20", true, "server"), None);
    assert_eq!(
        rule("node:22-alpine3.20", true, "a && server"),
        Some("SX102")
    );
    assert_eq!(
        rule("registry.access.redhat.com/ubi9/ubi", true, "server"),
        None
    );
    assert_eq!(rule("python:3.12-slim", false, "server"), Some("SX102"));
    assert_eq!(rule("shop", false, "server"), None);
    assert_eq!(rule("shop", true, "server"), Some("SX102"));
}

#[test]
fn commands_within_commands_come_to_an_end() {
    let words = own(&["tini", "--"].repeat(1000));
    assert_eq!(deaf(&words, Written::List, 15, &|_| None), None);
    let itself = |_: &str| Some("exec sh /x");
    assert_eq!(deaf(&own(&["sh", "/x"]), Written::List, 15, &itself), None);
}
