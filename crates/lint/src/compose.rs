//! Rules of compose files, each service with the Dockerfile that it builds.

use std::path::{Component, Path, PathBuf};

use sexton_core::signal;
use sexton_policyfile::Node;

use crate::dockerfile::{Form, Stage, image};
use crate::image::{command, is_browser_image};
use crate::start::{Written, deaf, has_init, with_its_shell};
use crate::{Around, Finding, probe};

/// Docker's own time-out of a health check.
const USUAL_TIMEOUT: u64 = 30;

/// What is wrong with a compose file.
pub(crate) fn findings(around: &Around<'_>, document: &Node) -> Vec<Finding> {
    let services = document.get("services").into_iter().flat_map(Node::fields);
    services
        .flat_map(|(_, service)| of_service(around, service))
        .collect()
}

fn of_service(around: &Around<'_>, service: &Node) -> Vec<Finding> {
    let has_init = service.get("init").and_then(Node::as_bool) == Some(true);
    let mut found = Vec::new();
    // `docker --init` is PID 1, and what stands behind it hears of the signal.
    if !has_init {
        found.extend(start(around, service));
        found.extend(browser(around, service));
    }
    found.extend(health(around, service));
    found.extend(limit(around, service));
    found
}

/// A command as compose takes it: a list, or words that are split without a shell.
fn words(node: &Node) -> Option<Vec<String>> {
    if let Some(text) = node.as_str() {
        let plain = !text.contains(['$', '\\', '`']);
        return plain.then(|| sexton_core::audit::shell_words(text))?;
    }
    let words: Option<Vec<String>> = node
        .items()
        .iter()
        .map(|word| word.as_str().map(str::to_owned))
        .collect();
    words.filter(|words| !words.is_empty())
}

fn start(around: &Around<'_>, service: &Node) -> Option<Finding> {
    let built = built(around, service);
    let image_words = built.as_ref().and_then(command).map(|(words, ..)| words);
    let entry = service.get("entrypoint");
    let given = entry.or(service.get("command"))?;
    let image_entry = || Some(Form::of(&built.as_ref()?.last("ENTRYPOINT")?.rest).words());
    let mut all: Vec<String> = match entry {
        Some(entry) => words(entry)?,
        None => image_entry().unwrap_or_default(),
    };
    if entry.is_some() && image_words.is_some_and(|words| has_init(&words)) && !has_init(&all) {
        let message = "The image starts with an init, and this entrypoint goes around it. Write \
                       `init: true`, or begin the entrypoint with the init."
            .to_owned();
        return Some(around.finding("SX106", given.at, message));
    }
    if let Some(given) = service.get("command") {
        all.extend(words(given)?);
    }
    let stop = service.text("stop_signal").and_then(signal::number);
    let scripts = |path: &str| around.script(path);
    let stop = stop.unwrap_or(signal::SIGTERM);
    let from = built.as_ref().map(|image| image.from.as_str());
    let from = from.or(service.text("image")).unwrap_or("");
    let all = with_its_shell(all, from, false);
    let deaf = deaf(&all, Written::List, stop, &scripts)?;
    let message = format!("{} Or write `init: true` for the service.", deaf.message);
    // Behind an init a shell still keeps the signal from its command.
    let message = match deaf.rule {
        "SX104" | "SX107" => message,
        _ => deaf.message,
    };
    Some(around.finding(deaf.rule, given.at, message))
}

fn browser(around: &Around<'_>, service: &Node) -> Option<Finding> {
    let image = service.get("image")?;
    // Selenium's own images wait for what comes to them: supervisord is their first process.
    let name = image.as_str().filter(|name| is_browser_image(name))?;
    (!name.contains("selenium/") && service.get("entrypoint").is_none()).then(|| {
        let message =
            "A browser starts processes that outlive their parents, and PID 1 of this image \
                       is no init that waits for them. Write `init: true`."
                .to_owned();
        around.finding("SX112", image.at, message)
    })
}

fn limit(around: &Around<'_>, service: &Node) -> Option<Finding> {
    let image = service.get("image")?;
    image.as_str().filter(|name| is_browser_image(name))?;
    let deploy = service.get("deploy").and_then(|node| node.get("resources"));
    let limits = deploy.and_then(|node| node.get("limits"));
    let is_limited = service.get("pids_limit").is_some()
        || limits.is_some_and(|limits| limits.get("pids").is_some());
    (!is_limited).then(|| {
        let message =
            "A browser that leaks processes takes all PIDs of the machine. Write `pids_limit: \
                       1024`, or what it needs."
                .to_owned();
        around.finding("SX114", image.at, message)
    })
}

fn health(around: &Around<'_>, service: &Node) -> Vec<Finding> {
    let Some(check) = service.get("healthcheck") else {
        return Vec::new();
    };
    let Some(test) = check.get("test") else {
        return Vec::new();
    };
    let listed = test.items().iter().filter_map(Node::as_str);
    let mut listed: Vec<String> = listed.map(str::to_owned).collect();
    let words = match (test.as_str(), listed.first().map(String::as_str)) {
        (Some(text), _) => Form::Shell(text.to_owned()).words(),
        (None, Some("CMD-SHELL")) => Form::Shell(listed[1..].join(" ")).words(),
        (None, Some("CMD")) => listed.split_off(1),
        _ => return Vec::new(),
    };
    let timeout = check.text("timeout").and_then(probe::seconds);
    let given = probe::Given {
        name: "healthcheck",
        command: words,
        timeout: timeout.unwrap_or(USUAL_TIMEOUT),
    };
    probe::findings(around, test.at, &given)
}

/// The image that a service builds, where its Dockerfile is at hand.
fn built(around: &Around<'_>, service: &Node) -> Option<Stage> {
    let build = service.get("build")?;
    // Another stage than the last is another image.
    if build.get("target").is_some() {
        return None;
    }
    let context = build.as_str().or(build.text("context")).unwrap_or(".");
    let file = build.text("dockerfile").unwrap_or("Dockerfile");
    let folder = around.source.path.parent().unwrap_or(Path::new(""));
    let path = plain(&folder.join(context).join(file));
    let source = around
        .sources
        .iter()
        .find(|other| plain(&other.path) == path)?;
    image(&source.text)
}

/// Without `.` and, where it can be, without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}
