//! `kubectl sexton policy explain`: which policy covers a pod, and why that one.

use std::io::{self, Write};
use std::process::ExitCode;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use serde::Serialize;
use sexton_cluster::report::{Adherence, Leak, Status};
use sexton_core::holder::HoldsAs;
use sexton_core::ladder::Opted;
use sexton_core::policy::{ANNOTATION, Miss, Policy, Subject, choose, verdicts};
use sexton_core::report::{Ages, Container, Runtime};
use sexton_core::text::{plural, safe};
use sexton_core::{Holder, ProcessId, SigchldAction, State, Workload};

use super::{mode, stored};
use crate::cli::{self, Connection};
use crate::connect::{Connected, connect};
use crate::error::{Error, Right};
use crate::leaks::step;
use crate::output::{self, List};
use crate::seen;

/// What `-o json` prints of one holder, or of a container without any.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    namespace: String,
    pod: String,
    container: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    leak: Option<Leak>,
    /// The policy that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// Why none holds though some cover it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tie: Option<String>,
    /// What each policy says, the narrowest first.
    verdicts: Vec<Said>,
    /// What the pod says of itself by `sexton.dev/reap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    opt: Option<String>,
    /// What its node says of the policy that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

/// What one policy says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    policy: String,
    covers: bool,
    why: String,
}

/// Runs the command.
pub async fn run(args: cli::PolicyExplain, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::PolicyExplain {
        pod: named,
        container,
        policy,
        output,
    } = args;
    let at = connect(connection).await?;
    let namespace = named
        .namespace
        .clone()
        .unwrap_or_else(|| at.namespace.clone());
    let api: Api<Pod> = Api::namespaced(at.client.clone(), &namespace);
    let pod = api
        .get(&named.name)
        .await
        .map_err(Right::new("get", "", "pods").failed(&at))?;
    // From files it is about what would be, and no node has a word in that.
    let of_files = !policy.is_empty();
    let policies = if of_files {
        from_files(&policy)?
    } else {
        from_cluster(&at).await?
    };
    let status = match pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        Some(node) => seen::report(&at, node).await?,
        None => None,
    };
    let entries: Vec<Entry> = subjects(&pod, &namespace, container.as_deref(), status.as_ref())?
        .into_iter()
        .map(|(container, leak)| {
            let status = status.as_ref().filter(|_| !of_files);
            judge(&pod, &namespace, &container, leak, &policies, status)
        })
        .collect();
    match output {
        Some(format) => output::document(format, &List::new("PolicyExplanationList", entries))?,
        None => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            for entry in &entries {
                draw(&mut out, entry)?;
            }
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn from_files(files: &[std::path::PathBuf]) -> Result<Vec<Policy>, Error> {
    sexton_policyfile::load(files)
        .map(|loaded| loaded.into_iter().map(|one| one.policy).collect())
        .map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::Usage(format!(
                "none of these policies would be followed:\n{}",
                lines.join("\n")
            ))
        })
}

async fn from_cluster(at: &Connected) -> Result<Vec<Policy>, Error> {
    let stored = stored(at).await?;
    for policy in &stored {
        if let Err(why) = &policy.spec {
            eprintln!(
                "Note: policy {} cannot be read: {}",
                safe(&policy.name),
                safe(why)
            );
        }
    }
    Ok(stored.iter().filter_map(super::Stored::policy).collect())
}

/// Each container that is asked for, once a leak; or once, where it has none.
fn subjects(
    pod: &Pod,
    namespace: &str,
    only: Option<&str>,
    status: Option<&Status>,
) -> Result<Vec<(String, Option<Leak>)>, Error> {
    let name = pod.metadata.name.as_deref();
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let names: Vec<&str> = containers
        .map(|container| container.name.as_str())
        .filter(|name| only.is_none_or(|only| only == *name))
        .collect();
    if names.is_empty() {
        return Err(Error::Usage(format!(
            "the pod has no container {}",
            only.unwrap_or_default()
        )));
    }
    let leaks = status.map_or(&[][..], |status| &status.leaks);
    Ok(names
        .into_iter()
        .flat_map(|container| {
            let mut found: Vec<(String, Option<Leak>)> = leaks
                .iter()
                .filter(|leak| {
                    leak.namespace.as_deref() == Some(namespace)
                        && leak.pod.as_deref() == name
                        && leak.container.as_deref() == Some(container)
                })
                .map(|leak| (container.to_owned(), Some(leak.clone())))
                .collect();
            if found.is_empty() {
                found.push((container.to_owned(), None));
            }
            found
        })
        .collect())
}

fn judge(
    pod: &Pod,
    namespace: &str,
    container: &str,
    leak: Option<Leak>,
    policies: &[Policy],
    status: Option<&Status>,
) -> Entry {
    let workload = workload(pod, namespace, container);
    let known = known(&workload, leak.as_ref());
    let subject = Subject {
        leak: &known,
        workload: Some(&workload),
    };
    let chosen = choose(policies, &subject);
    let said = verdicts(policies, &subject)
        .into_iter()
        .map(|verdict| Said {
            policy: verdict.policy.name().to_owned(),
            covers: verdict.covers.is_ok(),
            why: match verdict.covers {
                Ok(specificity) => specificity.to_string(),
                // Neither the path of a cgroup nor a program that does not leak is known here.
                Err(Miss::Differs { field, is }) if is.is_empty() => {
                    format!("{field}: not known before it leaks, or only on its node")
                }
                Err(miss) => miss.to_string(),
            },
        });
    let policy = chosen.as_ref().ok().copied().flatten();
    Entry {
        namespace: namespace.to_owned(),
        pod: pod.metadata.name.clone().unwrap_or_default(),
        container: container.to_owned(),
        leak,
        policy: policy.map(describe),
        tie: chosen.as_ref().err().map(ToString::to_string),
        verdicts: said.collect(),
        opt: opt(&workload),
        node: policy.and_then(|policy| adherence(policy.name(), status?)),
    }
}

fn describe(policy: &Policy) -> String {
    let spec = &policy.spec;
    let paused = if spec.paused { ", paused" } else { "" };
    format!(
        "{} ({}, up to {}{paused})",
        policy.name(),
        mode(spec.mode),
        spec.max_rung
    )
}

/// What the agent obeys, in the words of the pod.
fn opt(workload: &Workload) -> Option<String> {
    let said = match Opted::of(workload) {
        Opted::Out => "disabled",
        Opted::In => "enabled",
        Opted::Unsaid | Opted::Unreadable => {
            let maps = [&workload.annotations, &workload.labels];
            let other = maps.into_iter().find_map(|map| map.get(ANNOTATION))?;
            return Some(format!(
                "{ANNOTATION}: {other} (this says nothing: write enabled or disabled)"
            ));
        }
    };
    Some(format!("{ANNOTATION}: {said}"))
}

fn adherence(policy: &str, status: &Status) -> Option<String> {
    let state = status.policies.iter().find(|state| state.name == policy);
    let Some(state) = state else {
        return Some("it has not said anything of this policy yet".to_owned());
    };
    let generation = state
        .observed_generation
        .map_or(String::new(), |generation| {
            format!(" at generation {generation}")
        });
    let why = state
        .message
        .as_ref()
        .map_or(String::new(), |why| format!(": {why}"));
    Some(match state.state {
        Adherence::Following => format!("follows it{generation}{why}"),
        Adherence::Refused => format!("refuses it{generation}{why}"),
    })
}

fn workload(pod: &Pod, namespace: &str, container: &str) -> Workload {
    Workload {
        name: Some(container.to_owned()),
        pod: Some(sexton_core::Pod {
            uid: pod.metadata.uid.clone(),
            name: pod.metadata.name.clone(),
            namespace: Some(namespace.to_owned()),
        }),
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        annotations: pod.metadata.annotations.clone().unwrap_or_default(),
        ..Workload::default()
    }
}

/// A leak as a selector sees it. Only its container and the name of its holder are asked for.
fn known(workload: &Workload, leak: Option<&Leak>) -> sexton_core::Leak {
    sexton_core::Leak {
        holder: Holder {
            id: ProcessId {
                pid: leak.map_or(0, |leak| leak.pid),
                start_ticks: 0,
            },
            ns_pids: Vec::new(),
            pid_namespace: None,
            of_host: true,
            name: leak.map(|leak| leak.holder.clone()).unwrap_or_default(),
            command_line: Vec::new(),
            executable: None,
            parent_pid: 0,
            uid: 0,
            threads: 1,
            state: State::Sleeping,
            frozen: false,
            traced_by: None,
            namespace_init: false,
            subreaper: false,
            holds_as: HoldsAs::Parent,
            sigchld: SigchldAction::Default,
            sigchld_blocked: false,
        },
        container: Some(Container {
            id: String::new(),
            runtime: Runtime::Unknown,
            name: workload.name.clone(),
            pod: workload.pod.clone(),
            cgroup: String::new(),
            owner: None,
        }),
        protected: None,
        zombies: leak.map_or(0, |leak| leak.zombies),
        inspected: 0,
        commands: Vec::new(),
        ages: Ages::default(),
        sample: Vec::new(),
        causes: Vec::new(),
        origins: Vec::new(),
        forecast: None,
        notes: Vec::new(),
    }
}

fn draw(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let Entry {
        namespace,
        pod,
        container,
        leak,
        policy,
        tie,
        verdicts,
        opt,
        node,
    } = entry;
    let what = match leak {
        Some(leak) => format!(
            "{} or more of {} (pid {})",
            plural(leak.zombies, "zombie", "zombies"),
            leak.holder,
            leak.pid
        ),
        None => "no zombies".to_owned(),
    };
    writeln!(
        out,
        "{}",
        safe(&format!("{namespace}/{pod} {container}: {what}"))
    )?;
    let mut field = |name: &str, value: &str| writeln!(out, "  {name:<10}{}", safe(value));
    match (policy, tie) {
        (Some(policy), _) => field("policy", policy)?,
        (None, Some(tie)) => field("policy", &format!("none: {tie}"))?,
        (None, None) => field("policy", "none covers it: it is only watched")?,
    }
    let mut mark = "others";
    for (i, said) in verdicts.iter().enumerate() {
        let Said {
            policy: name,
            covers,
            why,
        } = said;
        if i == 0 && *covers && policy.is_some() {
            field("because", &format!("it {why}"))?;
            continue;
        }
        let text = match covers {
            true if tie.is_some() => format!("{name} covers it and {why}"),
            true => format!("{name} covers it too and {why}, which is less"),
            false => format!("{name} does not cover it: {why}"),
        };
        field(mark, &text)?;
        mark = "";
    }
    if let Some(opt) = opt {
        field("pod says", opt)?;
    }
    if let Some(node) = node {
        field("its node", node)?;
    }
    if let Some(step) = leak.as_ref().and_then(step) {
        field("last step", &step)?;
    }
    Ok(())
}
