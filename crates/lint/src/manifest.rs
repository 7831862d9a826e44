//! Rules of Kubernetes' manifests: everything that has a pod, or a template of one.

use sexton_core::audit::pre_stop_finding;
use sexton_core::signal;
use sexton_policyfile::Node;

use crate::image::is_browser_image;
use crate::start::{Written, deaf, must_be_first, with_its_shell};
use crate::{Around, Finding, probe};

/// `terminationGracePeriodSeconds` where it is not said.
const USUAL_GRACE: u64 = 30;
/// `timeoutSeconds` where it is not said.
const USUAL_TIMEOUT: u64 = 1;
/// Lists within lists.
const DEEPEST: u32 = 3;

/// What is wrong with one document.
pub(crate) fn findings(around: &Around<'_>, document: &Node) -> Vec<Finding> {
    of_object(around, document, 0)
}

fn of_object(around: &Around<'_>, object: &Node, depth: u32) -> Vec<Finding> {
    let kind = object.text("kind").unwrap_or("");
    if object.get("apiVersion").is_none() || depth > DEEPEST {
        return Vec::new();
    }
    if let Some(items) = object.get("items") {
        let items = items.items().iter();
        return items
            .flat_map(|item| of_object(around, item, depth + 1))
            .collect();
    }
    let Some(spec) = object.get("spec") else {
        return Vec::new();
    };
    let template = |node: &'_ Node| -> Option<Node> { node.get("template")?.get("spec").cloned() };
    let pod = match kind {
        "Pod" => Some(spec.clone()),
        "CronJob" => spec
            .get("jobTemplate")
            .and_then(|job| template(job.get("spec")?)),
        _ => template(spec),
    };
    let ends_by_itself = matches!(kind, "Job" | "CronJob");
    pod.map_or_else(Vec::new, |pod| of_pod(around, &pod, ends_by_itself))
}

fn of_pod(around: &Around<'_>, pod: &Node, ends_by_itself: bool) -> Vec<Finding> {
    let yes = |field| pod.get(field).and_then(Node::as_bool) == Some(true);
    // PID 1 is another then, and the default action of a signal works again.
    let shared = yes("shareProcessNamespace") || yes("hostPID");
    let grace = pod
        .get("terminationGracePeriodSeconds")
        .and_then(Node::as_u64);
    let mut found = Vec::new();
    for container in pod.get("containers").map_or(&[][..], Node::items) {
        if !shared && !ends_by_itself {
            found.extend(start(around, container));
        }
        if shared {
            found.extend(refused(around, container));
        } else {
            found.extend(browser(around, container));
        }
        found.extend(pre_stop(around, container, grace.unwrap_or(USUAL_GRACE)));
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
            found.extend(probe(around, container, name));
        }
    }
    found
}

/// The words of a list, if all are texts.
fn words(node: &Node) -> Option<Vec<String>> {
    let words = node
        .items()
        .iter()
        .map(|word| word.as_str().map(str::to_owned));
    words.collect()
}

/// `command` and `args`; without `command` the image's entry point is not known.
fn command(container: &Node) -> Option<(Vec<String>, &Node)> {
    let command = container
        .get("command")
        .filter(|node| !node.items().is_empty())?;
    let mut all = words(command)?;
    if let Some(args) = container.get("args") {
        all.extend(words(args)?);
    }
    Some((all, command))
}

fn start(around: &Around<'_>, container: &Node) -> Option<Finding> {
    let (words, at) = command(container)?;
    let lifecycle = container.get("lifecycle");
    let stop = lifecycle.and_then(|node| signal::number(node.text("stopSignal")?));
    let scripts = |path: &str| around.script(path);
    let stop = stop.unwrap_or(signal::SIGTERM);
    let words = with_its_shell(words, container.text("image").unwrap_or(""), false);
    let deaf = deaf(&words, Written::List, stop, &scripts)?;
    Some(around.finding(deaf.rule, at.at, deaf.message))
}

fn refused(around: &Around<'_>, container: &Node) -> Option<Finding> {
    const S6: [&str; 3] = ["linuxserver/", "lscr.io/", "jlesage/"];
    let image = container.get("image");
    let by_image = image.filter(|image| {
        let name = image.as_str().unwrap_or("");
        container.get("command").is_none() && S6.iter().any(|maker| name.contains(maker))
    });
    let by_command = command(container).filter(|(words, _)| must_be_first(words));
    let at = by_command
        .map(|(_, at)| at.at)
        .or(by_image.map(|image| image.at))?;
    let message =
        "s6-overlay and systemd end at once when they are not PID 1, and in a shared PID \
                   namespace `pause` is. Leave out shareProcessNamespace and hostPID."
            .to_owned();
    Some(around.finding("SX113", at, message))
}

fn browser(around: &Around<'_>, container: &Node) -> Option<Finding> {
    let image = container.get("image")?;
    let name = image.as_str().filter(|name| is_browser_image(name))?;
    (!name.contains("selenium/") && container.get("command").is_none()).then(|| {
        let message = "A browser starts processes that outlive their parents, and PID 1 of this image \
                       is no init that waits for them. Write `shareProcessNamespace: true`, or put an \
                       init into the image."
            .to_owned();
        around.finding("SX112", image.at, message)
    })
}

fn pre_stop(around: &Around<'_>, container: &Node, grace: u64) -> Option<Finding> {
    let hook = container.get("lifecycle")?.get("preStop")?;
    let sleep = hook
        .get("sleep")
        .and_then(|sleep| sleep.get("seconds")?.as_u64());
    let command = hook
        .get("exec")
        .and_then(|exec| words(exec.get("command")?));
    let message = pre_stop_finding(&command.unwrap_or_default(), sleep, grace)?;
    Some(around.finding("SX109", hook.at, message))
}

fn probe(around: &Around<'_>, container: &Node, name: &'static str) -> Vec<Finding> {
    let Some(probe) = container.get(name) else {
        return Vec::new();
    };
    let Some(command) = probe
        .get("exec")
        .and_then(|exec| words(exec.get("command")?))
    else {
        return Vec::new();
    };
    let timeout = probe.get("timeoutSeconds").and_then(Node::as_u64);
    let given = probe::Given {
        name,
        command,
        timeout: timeout.unwrap_or(USUAL_TIMEOUT),
    };
    probe::findings(around, probe.at, &given)
}
