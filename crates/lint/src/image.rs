//! Rules of Dockerfiles.

use sexton_core::signal;
use sexton_policyfile::Place;

use crate::dockerfile::{Form, Instruction, Stage, image};
use crate::start::{Written, base_name, deaf, has_init, with_its_shell};
use crate::{Around, Finding, probe};

/// Docker's own time-out of a health check.
const USUAL_TIMEOUT: u64 = 30;

/// How a program is ended well, where SIGTERM is not it; and the images that say so themselves.
const STOP_SIGNALS: [(&str, u8, &str, &str); 5] = [
    (
        "nginx",
        3,
        "nginx",
        "ends at once on SIGTERM and drops open requests",
    ),
    (
        "php-fpm",
        3,
        "php",
        "ends at once on SIGTERM and drops open requests",
    ),
    (
        "httpd-foreground",
        28,
        "httpd",
        "ends at once on SIGTERM and drops open requests",
    ),
    (
        "postgres",
        2,
        "postgres",
        "waits for all clients on SIGTERM",
    ),
    (
        "systemd",
        37,
        "systemd",
        "executes itself anew on SIGTERM and goes on",
    ),
];

/// What is wrong with a Dockerfile.
pub(crate) fn findings(around: &Around<'_>) -> Vec<Finding> {
    let Some(image) = image(&around.source.text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    found.extend(start(around, &image));
    found.extend(stop_signal(around, &image));
    found.extend(health(around, &image));
    found.extend(browser(around, &image));
    found
}

/// The words that a container of the image starts with, and the instruction that gives them.
pub(crate) fn command(image: &Stage) -> Option<(Vec<String>, Written, &Instruction)> {
    // `ENTRYPOINT []` takes that of the image below away, and is none.
    let is_empty = |line: &&Instruction| Form::of(&line.rest) == Form::Exec(Vec::new());
    let entry = image.last("ENTRYPOINT").filter(|line| !is_empty(line));
    let cmd = image.last("CMD");
    let line = entry.or(cmd)?;
    let written = |form: &Form| match form {
        Form::Shell(_) => Written::ShellForm,
        Form::Exec(_) => Written::List,
    };
    let form = Form::of(&line.rest);
    let mut words = form.words();
    if let (Some(_), Form::Exec(_), Some(cmd)) = (entry, &form, cmd) {
        words.extend(Form::of(&cmd.rest).words());
    }
    Some((words, written(&form), line))
}

/// The signal that a stop of this image begins with.
fn stop(image: &Stage) -> u8 {
    let said = image.last("STOPSIGNAL");
    said.and_then(|said| signal::number(&said.rest))
        .unwrap_or(signal::SIGTERM)
}

/// The image below has an init of its own as its entry point, as far as its name tells.
fn stands_on_init(image: &Stage) -> bool {
    const WITH_INIT: [&str; 5] = ["s6", "linuxserver", "baseimage", "jlesage", "supervisor"];
    image.last("ENTRYPOINT").is_none() && WITH_INIT.iter().any(|name| image.from.contains(name))
}

fn start(around: &Around<'_>, image: &Stage) -> Option<Finding> {
    let (words, written, line) = command(image)?;
    if stands_on_init(image) {
        return None;
    }
    let scripts = |path: &str| around.script(path);
    let words = with_its_shell(words, &image.from, true);
    let deaf = deaf(&words, written, stop(image), &scripts)?;
    Some(around.finding(deaf.rule, at(line), deaf.message))
}

fn stop_signal(around: &Around<'_>, image: &Stage) -> Option<Finding> {
    let said = image.last("STOPSIGNAL");
    if let Some(said) = said.filter(|said| !said.rest.contains('$')) {
        let number = signal::number(&said.rest);
        let wrong = match number {
            None => "is not a signal",
            Some(signal::SIGKILL) => "ends the container without a word",
            Some(_) => "",
        };
        if !wrong.is_empty() {
            let message = format!("`{}` {wrong}. Write a signal such as SIGTERM.", said.rest);
            return Some(around.finding("SX108", at(said), message));
        }
    }
    let (words, _, line) = command(image)?;
    let is = |name: &str| words.first().is_some_and(|word| base_name(word) == name);
    let (name, number, from, why) = STOP_SIGNALS.iter().find(|(name, ..)| is(name))?;
    let base = base_name(&image.from).split([':', '@']).next()?;
    let wanted =
        stop(image) == *number || (said.is_none() && (base == *from || base.contains('$')));
    (!wanted).then(|| {
        let at = at(said.unwrap_or(line));
        let wanted = signal::name(*number);
        let message = format!("{name} {why}. Write `STOPSIGNAL {wanted}`.");
        around.finding("SX108", at, message)
    })
}

fn health(around: &Around<'_>, image: &Stage) -> Vec<Finding> {
    let Some(line) = image.last("HEALTHCHECK") else {
        return Vec::new();
    };
    let Some((options, command)) = line.rest.split_once("CMD") else {
        return Vec::new();
    };
    let form = Form::of(command);
    let timeout = options
        .split_ascii_whitespace()
        .find_map(|word| probe::seconds(word.strip_prefix("--timeout=")?))
        .unwrap_or(USUAL_TIMEOUT);
    let probe = probe::Given {
        name: "HEALTHCHECK",
        command: form.words(),
        timeout,
    };
    let mut found = probe::findings(around, at(line), &probe);
    let is_plain = |text: &str| {
        let text = text
            .trim_end_matches("|| exit 1")
            .trim_end_matches("|| false");
        !text.contains(['|', '&', ';', '$', '`', '<', '>', '*'])
    };
    // Where a shell has work to do, it is no mistake.
    if let Form::Shell(text) = &form
        && is_plain(text)
    {
        let message = "Docker kills the shell when the time is over, and what it has started stays. \
                       Write it as a list, `CMD [\"program\", \"argument\"]`.";
        found.push(around.finding("SX111", at(line), message.to_owned()));
    }
    found
}

fn browser(around: &Around<'_>, image: &Stage) -> Option<Finding> {
    let (words, _, line) = command(image)?;
    let installs = image
        .instructions
        .iter()
        .find(|one| one.name == "RUN" && installs(&one.rest));
    let is_from = is_browser_image(&image.from);
    if has_init(&words) || stands_on_init(image) || !(is_from || installs.is_some()) {
        return None;
    }
    Some(around.finding(
        "SX112",
        at(installs.unwrap_or(line)),
        "A browser starts processes that outlive their parents, and PID 1 here is no init that waits for \
         them. Put one in front of the entry point (`tini --`), or start with `docker run --init`."
            .to_owned(),
    ))
}

/// A command that installs a browser as a whole, not its libraries.
fn installs(command: &str) -> bool {
    const PACKAGES: [&str; 6] = [
        "chromium",
        "chromium-browser",
        "google-chrome-stable",
        "firefox",
        "firefox-esr",
        "chromium-headless-shell",
    ];
    let words: Vec<&str> = command
        .split(|c: char| c.is_whitespace() || ";&|".contains(c))
        .collect();
    let manager = |word: &&str| {
        matches!(
            *word,
            "apt-get" | "apt" | "apk" | "dnf" | "yum" | "microdnf"
        )
    };
    let by_package = words.iter().any(manager) && words.iter().any(|word| PACKAGES.contains(word));
    by_package || words.windows(2).any(|two| two == ["playwright", "install"])
}

/// Images of browsers by the names that their makers gave them.
pub(crate) fn is_browser_image(name: &str) -> bool {
    const KNOWN: [&str; 6] = [
        "mcr.microsoft.com/playwright",
        "ghcr.io/puppeteer/puppeteer",
        "browserless/chrome",
        "zenika/alpine-chrome",
        "chromedp/headless-shell",
        "selenium/standalone-",
    ];
    KNOWN.iter().any(|known| name.contains(known))
}

fn at(line: &Instruction) -> Place {
    Place {
        line: line.line,
        column: 1,
    }
}
