//! `sexton policy`: what it says of policies, and of a leak under them.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use sexton_lab::{Container, Layout, Leak};

use crate::sexton::{Answer, sexton, validates};
use crate::situation::{leaking, quiet, runtime};

/// The examples of the documentation.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/policies");

struct Policies(tempfile::TempDir);

impl Policies {
    /// One file for each name and spec (in YAML's flow style).
    fn new(policies: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
        let dir = Self(dir.expect("a temporary directory"));
        for (name, spec) in policies {
            let text = format!(
                "apiVersion: sexton.dev/v1alpha1\nkind: ReapPolicy\nmetadata: {{name: {name}}}\n\
                 spec: {spec}\n"
            );
            fs::write(dir.path(&format!("{name}.yaml")), text).expect("it can be written");
        }
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn explain(&self, target: &str, more: &[&str]) -> Answer {
        let dir = self.0.path().to_string_lossy().into_owned();
        let args = ["policy", "explain", target, "--policy", &dir];
        sexton(args.into_iter().chain(more.iter().copied()))
    }

    /// The one leak of `target`, explained.
    #[track_caller]
    fn explained(&self, target: &str) -> Value {
        let document = self.explain(target, &["-o", "json"]).expect(0).json();
        validates("policy-explain", &document);
        let leaks = document["leaks"].as_array().expect("a list");
        assert_eq!(leaks.len(), 1, "{document:#}");
        leaks[0].clone()
    }
}

#[test]
fn the_examples_are_valid_and_are_what_the_schema_says() {
    let answer = sexton(["policy", "check", EXAMPLES]).expect(0);
    assert!(answer.stdout.contains("nothing wrong"), "{answer:?}");
    let document = sexton(["policy", "check", EXAMPLES, "-o", "json"])
        .expect(0)
        .json();
    validates("policy-check", &document);
    let names: Vec<&str> = document["policies"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|policy| policy["name"].as_str())
        .collect();
    for name in ["dry-run", "ci", "keep-alive", "payments", "host-cron"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for file in fs::read_dir(EXAMPLES).expect("the examples are there") {
        let text = fs::read_to_string(file.expect("an entry").path()).expect("a file");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        for document in documents {
            validates("policy", &document);
        }
    }
}

#[test]
fn only_the_examples_that_say_so_enforce() {
    let document = sexton(["policy", "check", EXAMPLES, "-o", "json"])
        .expect(0)
        .json();
    for policy in document["policies"].as_array().expect("a list") {
        let dry = policy["name"] == "dry-run" || policy["name"] == "hands-off-databases";
        assert_eq!(policy["mode"] == "dryRun", dry, "{policy}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_exit_status_1() {
    let policies = Policies::new(&[("a", "{setle: 3s, maxRung: kill}"), ("b", "{}")]);
    let file = policies.path("a.yaml").to_string_lossy().into_owned();
    let answer = sexton(["policy", "check", &file]).expect(1);
    let line = format!("{file}:4:8: spec.setle: there is no field `setle`; did you mean `settle`?");
    assert!(answer.stdout.contains(&line), "{answer:?}");
    assert!(
        answer
            .stdout
            .contains(&format!("{file}:4:28: spec.maxRung: ")),
        "{answer:?}"
    );

    let document = sexton(["policy", "check", &file, "-o", "json"])
        .expect(1)
        .json();
    validates("policy-check", &document);
    assert_eq!(
        document["problems"][0],
        json!({
            "file": file, "line": 4, "column": 8, "field": "spec.setle",
            "message": "there is no field `setle`; did you mean `settle`?",
        })
    );
}

#[test]
fn a_dash_is_standard_input() {
    let file = fs::File::open(format!("{EXAMPLES}/dry-run.yaml")).expect("an example");
    let output = std::process::Command::new(crate::sexton::SEXTON)
        .args(["policy", "check", "-"])
        .stdin(file)
        .output()
        .expect("it can be started");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("dry-run"),
        "{output:?}"
    );
}

#[test]
fn a_key_that_is_there_twice_is_told_in_words_of_the_file() {
    let policies = Policies::new(&[("a", "{mode: dryRun, mode: enforce}")]);
    let file = policies.path("a.yaml").to_string_lossy().into_owned();
    let answer = sexton(["policy", "check", &file]).expect(1);
    let said = "the key `mode` is there twice: leave one out";
    assert!(answer.stdout.contains(said), "{answer:?}");
    assert!(!answer.stdout.contains("Policy in Options"), "{answer:?}");
}

#[test]
fn what_is_no_file_in_a_folder_of_policies_is_told() {
    let policies = Policies::new(&[("a", "{}")]);
    let fifo = policies.path("b.yaml");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a FIFO");
    let folder = fifo
        .parent()
        .expect("a folder")
        .to_string_lossy()
        .into_owned();
    let answer = sexton(["policy", "check", &folder, "-o", "json"]).expect(2);
    validates("policy-check", &answer.json());
    assert!(
        answer.stdout.contains("it is not a regular file"),
        "{answer:?}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_exit_status_2() {
    let document = sexton(["policy", "check", "/nosuch", "-o", "json"])
        .expect(2)
        .json();
    validates("policy-check", &document);
    let answer = sexton(["policy", "check", "/nosuch/policies"]).expect(2);
    assert!(
        answer.stdout.contains("/nosuch/policies: No such file"),
        "{answer:?}"
    );
    let answer = sexton(["policy", "explain", "1", "--policy", "/nosuch/policies"]).expect(2);
    assert!(
        answer.stderr.contains("/nosuch/policies: No such file"),
        "{answer:?}"
    );
    assert_eq!(answer.stdout, "");
}

#[test]
fn wrong_policies_explain_nothing() {
    let policies = Policies::new(&[("a", "{maxRung: kill}")]);
    let answer = policies.explain("1", &[]).expect(2);
    assert!(
        answer.stderr.contains("a.yaml:4:17: spec.maxRung"),
        "{answer:?}"
    );
    assert_eq!(answer.stdout, "");
}

#[test]
fn each_of_its_commands_has_a_manual_page() {
    let dir = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let dir = dir.expect("a temporary directory");
    sexton(["man", &dir.path().to_string_lossy()]).expect(0);
    for command in ["check", "explain", "schema"] {
        let page = dir.path().join(format!("sexton-policy-{command}.1"));
        let page = fs::read_to_string(&page).unwrap_or_else(|e| panic!("{command}: {e}"));
        assert!(page.contains(".SH EXAMPLES"), "{command}");
    }
}

#[test]
fn the_schema_is_that_of_schema_policy() {
    assert_eq!(
        sexton(["policy", "schema"]).expect(0).stdout,
        sexton(["schema", "policy"]).expect(0).stdout
    );
}

#[test]
fn the_narrowest_policy_holds_and_says_what_it_would_do() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 12);
    let pid = container.pid().to_string();
    let policies = Policies::new(&[
        ("all", "{maxRung: observe}"),
        (
            "leaks",
            "{selector: {commands: ['sexton-test-*']}, mode: enforce, settle: 1s}",
        ),
        ("elsewhere", "{selector: {namespaces: [billing]}}"),
        (
            "labelled",
            "{selector: {podSelector: {matchLabels: {tier: worker}}}}",
        ),
    ]);
    sexton_lab::wait_until("the zombies have settled", || {
        (policies.explained(&pid)["settled"] == 12).then_some(())
    });

    let leak = policies.explained(&pid);

    assert_eq!(leak["policy"]["name"], "leaks", "{leak:#}");
    assert_eq!(leak["policy"]["mode"], "enforce");
    assert_eq!(leak["policy"]["line"], 1);
    assert_eq!(leak["decision"]["action"], "act", "{leak:#}");
    assert_eq!(leak["decision"]["rung"], "reap");
    let why = |name: &str| {
        let verdicts = leak["verdicts"].as_array().expect("a list");
        let verdict = verdicts.iter().find(|verdict| verdict["policy"] == name);
        verdict.expect("each policy has its say")["why"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(
        why("leaks").as_deref(),
        Some("asks for 1 thing, by pattern")
    );
    assert_eq!(
        why("all").as_deref(),
        Some("asks for nothing in particular")
    );
    assert!(
        why("elsewhere").is_some_and(|why| why.contains("namespaces: not known")),
        "{leak:#}"
    );
    assert!(
        why("labelled").is_some_and(|why| why.contains("podSelector: not known")),
        "{leak:#}"
    );

    let answer = policies.explain(&pid, &[]).expect(0);
    for said in [
        "12 zombies of",
        "leaks (enforce, up to reap)",
        "all covers it too and asks for nothing in particular, which is less",
        "elsewhere does not cover it",
        "reap, since nudge cannot be done",
    ] {
        assert!(answer.stdout.contains(said), "{said}: {}", answer.stdout);
    }
    assert_eq!(
        sexton_lab::zombies_of(container.pid()).len(),
        12,
        "nothing was done"
    );
}

#[test]
fn what_holds_it_back_is_said() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let pid = container.pid().to_string();
    for (spec, action, reason) in [
        (
            "{settle: 10h}",
            "wait",
            "no zombie has been dead for 10h yet (settle)",
        ),
        ("{paused: true}", "nothing", "the policy is paused"),
        (
            "{maxRung: observe}",
            "nothing",
            "the policy only observes (maxRung)",
        ),
        (
            "{requireOptIn: true}",
            "nothing",
            "the policy asks for sexton.dev/reap: enabled",
        ),
    ] {
        let leak = Policies::new(&[("p", spec)]).explained(&pid);
        let decision = &leak["decision"];
        assert_eq!(decision["action"], action, "{leak:#}");
        let said = decision["reason"].as_str().expect("a sentence");
        assert!(said.starts_with(reason), "{said}");
    }
}

/// A host on which Docker says these labels of `container`.
fn docker_says(container: &Container, labels: &Value) -> tempfile::TempDir {
    let host = tempfile::Builder::new().prefix("sexton-test-").tempdir();
    let host = host.expect("a temporary directory");
    let dir = host
        .path()
        .join("var/lib/docker/containers")
        .join(container.id());
    fs::create_dir_all(&dir).expect("it can be made");
    let config = json!({
        "Name": "/crawler",
        "State": {"Running": true, "Pid": container.pid()},
        "Config": {"Labels": labels},
    });
    fs::write(dir.join("config.v2.json"), config.to_string()).expect("it can be written");
    host
}

#[test]
fn labels_and_the_word_of_the_container_come_from_its_runtime() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(Layout::Docker);
    let container = leaking(builder, Leak::new(), 3);
    let pid = container.pid().to_string();
    let policies = Policies::new(&[
        ("all", "{maxRung: observe}"),
        (
            "workers",
            "{selector: {podSelector: {matchLabels: {tier: worker}}}, settle: 10h}",
        ),
        (
            "named",
            "{selector: {containers: [crawler], commands: ['*']}, settle: 10h}",
        ),
    ]);
    let ask = |labels: Value| {
        let host = docker_says(&container, &labels);
        let root = host.path().to_string_lossy().into_owned();
        let answer = policies.explain(&pid, &["--path-rootfs", &root, "-o", "json"]);
        answer.expect(0).json()["leaks"][0].clone()
    };

    let leak = ask(json!({"tier": "web"}));
    assert_eq!(leak["policy"]["name"], "named", "{leak:#}");
    assert_eq!(leak["decision"]["action"], "wait", "{leak:#}");

    // Two that ask for one exact thing each.
    let leak = ask(json!({"tier": "worker"}));
    let tie = leak["tie"].as_str().expect("a sentence");
    assert!(tie.contains("named and workers"), "{tie}");

    let leak = ask(json!({"tier": "web", "sexton.dev/reap": "disabled"}));
    assert_eq!(leak["decision"]["action"], "nothing", "{leak:#}");
    assert_eq!(
        leak["decision"]["reason"],
        "its pod says sexton.dev/reap: disabled"
    );
}

#[test]
fn a_tie_names_both_and_nothing_would_be_done() {
    let Some(runtime) = runtime() else { return };
    let container = leaking(Container::builder(&runtime), Leak::new(), 3);
    let pid = container.pid().to_string();
    let policies = Policies::new(&[
        ("one", "{selector: {commands: ['*leak']}}"),
        ("two", "{selector: {cgroups: ['/*']}}"),
    ]);
    let leak = policies.explained(&pid);
    assert_eq!(leak["policy"], Value::Null, "{leak:#}");
    assert_eq!(leak["decision"], Value::Null);
    let tie = leak["tie"].as_str().expect("a sentence");
    assert!(tie.contains("one and two"), "{tie}");
    let answer = policies.explain(&pid, &[]).expect(0);
    assert!(answer.stdout.contains("one and two"), "{answer:?}");
}

#[test]
fn without_a_policy_that_covers_it_a_leak_is_only_watched() {
    let Some(runtime) = runtime() else { return };
    let builder = Container::builder(&runtime).layout(Layout::Kubepods);
    let container = leaking(builder, Leak::new(), 3);
    let pod = format!("pod/{}", container.pod_uid().expect("it has a pod"));
    let policies = Policies::new(&[("cron", "{selector: {hostProcesses: [cron]}}")]);
    let leak = policies.explained(&pod);
    assert_eq!(leak["policy"], Value::Null, "{leak:#}");
    assert!(
        policies
            .explain(&pod, &[])
            .expect(0)
            .stdout
            .contains("only watched")
    );
}

#[test]
fn a_target_without_zombies_is_exit_status_1() {
    let Some(runtime) = runtime() else { return };
    let container = quiet(&runtime);
    let policies = Policies::new(&[("all", "{}")]);
    let answer = policies
        .explain(&container.pid().to_string(), &[])
        .expect(1);
    assert!(answer.stdout.contains("no zombies"), "{answer:?}");
    policies.explain("4194304", &[]).expect(2);
}
