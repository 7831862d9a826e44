//! The chart, rendered by Helm for several clusters and wishes: right for the API's own types,
//! and as frugal with rights as docs/kubernetes.md says.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

mod helm;
mod objects;

use helm::{Helm, root};
use objects::{Object, of_kind, the};
use serde_json::{Value, json};

/// Renders, or returns after saying SKIP.
macro_rules! helm {
    () => {
        match sexton_lab::require(Helm::find()) {
            Some(helm) => helm,
            None => return,
        }
    };
}

const EVERYTHING: &[&str] = &[
    "rungs.restart.enabled=true",
    "rungs.evict.enabled=true",
    "policy.mode=enforce",
    "policy.maxRung=evict",
    "policy.spec.requireOptIn=true",
    "priorityQuota=true",
    "policy.paused=true",
    "monitoring.podMonitor.enabled=true",
    "monitoring.rules.enabled=true",
    "monitoring.dashboard.enabled=true",
    "networkPolicy.scrapeFrom[0].namespaceSelector.matchLabels.name=monitoring",
    "networkPolicy.apiServerCIDRs[0]=203.0.113.7/32",
    "image.pullSecrets[0].name=registry",
    "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "seLinuxOptions.type=spc_t",
    "nodeSelector.pool=workers",
    "podLabels.team=platform",
    "podAnnotations.note=x",
    "serviceAccount.annotations.note=x",
    "service.enabled=true",
    "annotations.note=x",
    "commonLabels.cost=platform",
    "extraEnv[0].name=HTTPS_PROXY",
    "extraEnv[0].value=http://proxy.example.com",
    "extraVolumes[0].name=ca",
    "extraVolumes[0].configMap.name=ca",
    "extraVolumeMounts[0].name=ca",
    "extraVolumeMounts[0].mountPath=/etc/ca",
];

/// (Kubernetes, values): what is tried.
const CASES: &[(&str, &[&str])] = &[
    ("1.33.0", &[]),
    ("1.37.2", &[]),
    ("1.36.0-gke.100", &[]),
    ("1.33.0", EVERYTHING),
    ("1.37.2", EVERYTHING),
    (
        "1.33.0",
        &[
            "rungs.evict.enabled=true",
            "rights.plain.evict=true",
            "rights.plain.events=true",
            "rights.plain.nodeCondition=true",
        ],
    ),
    (
        "1.37.2",
        &["policy.create=false", "networkPolicy.enabled=false"],
    ),
];

#[test]
fn helm_lint_has_nothing_to_say() {
    let helm = helm!();
    let said = helm.run(&["lint", "--strict", "charts/sexton"]).unwrap();
    assert!(
        !said.contains("WARNING") && !said.contains("ERROR"),
        "{said}"
    );
}

#[test]
fn the_chart_is_of_this_version() {
    let chart = std::fs::read_to_string(root().join("charts/sexton/Chart.yaml")).unwrap();
    for field in ["version", "appVersion"] {
        let line = format!("\n{field}: {}\n", env!("CARGO_PKG_VERSION"));
        assert!(chart.contains(&line), "{field}");
    }
    // What is published beside it, and the image that it is for.
    let version = env!("CARGO_PKG_VERSION");
    for part in [
        format!("/v{version}/sexton.svg"),
        format!("sexton:{version}\n"),
    ] {
        assert!(chart.contains(&part), "{part}");
    }
}

#[test]
fn the_api_knows_every_field_of_every_object() {
    let helm = helm!();
    for (version, values) in CASES {
        let objects = helm.render(version, values).unwrap();
        assert!(objects.len() > 8, "{version} {values:?}");
        for object in &objects {
            let lost = object.unknown_fields();
            assert_eq!(
                lost,
                Vec::<String>::new(),
                "{version} {values:?} {object:?}"
            );
        }
    }
}

#[test]
fn wrong_values_are_refused_and_named() {
    let helm = helm!();
    for (values, said) in [
        ("policy.modus=enforce", "'modus' not allowed"),
        ("policy.mode=Enforce", "/policy/mode"),
        ("policy.maxRung=kill", "/policy/maxRung"),
        ("policy.spec.mode=enforce", "/policy/spec"),
        ("agent.interval=often", "/agent/interval"),
        ("image.digest=latest", "/image/digest"),
        ("policy.maxRung=restart", "rungs.restart.enabled"),
        ("policy.maxRung=evict", "rungs.evict.enabled"),
        (
            "monitoring.podMonitor.enabled=true",
            "networkPolicy.scrapeFrom",
        ),
        ("service.enabled=true", "networkPolicy.scrapeFrom"),
        (r"commonLabels.helm\.sh/chart=x", "helm.sh/chart"),
        (
            "commonLabels.team=x,podLabels.team=y",
            "in commonLabels and in podLabels",
        ),
        ("extraEnv[0].value=x", "/extraEnv/0"),
    ] {
        let refused = helm.render("1.37.2", &[values]).unwrap_err();
        assert!(refused.contains(said), "{values}: {refused}");
    }
    let refused = helm.render("1.32.0", &[]).unwrap_err();
    assert!(refused.contains("requires kubeVersion"), "{refused}");
}

/// Without it every node would try to pull an image that is nowhere.
#[test]
fn without_an_image_the_next_two_commands_are_told() {
    let helm = helm!();
    let refused = helm.render("1.37.2", &["image.repository="]).unwrap_err();
    for said in [
        "image.repository is empty",
        "make image && skopeo copy oci-archive:target/sexton.oci.tar docker://REGISTRY/sexton:0.1.0",
        "helm upgrade --install sexton charts/sexton -n sexton --set image.repository=REGISTRY/sexton",
    ] {
        assert!(refused.contains(said), "{said}: {refused}");
    }
}

/// What the chart lets through, the agent takes; what the agent refuses, the chart refuses first.
#[test]
fn the_interval_is_one_that_the_agent_takes() {
    let helm = helm!();
    for good in ["100ms", "10s", "1m30s", "1h", "60m", "59m60s", "0010s"] {
        let value = format!("agent.interval={good}");
        let objects = helm.render("1.37.2", &[&value]).unwrap();
        let pod = &the(&objects, "DaemonSet").0["spec"]["template"]["spec"];
        let flag = format!("--interval={good}");
        let args = pod["containers"][0]["args"].as_array().unwrap();
        assert!(args.iter().any(|arg| *arg == flag), "{good}: {args:?}");
    }
    for bad in ["99ms", "0s", "1h1ms", "2h", "61m", "999999999h"] {
        let value = format!("agent.interval={bad}");
        let refused = helm.render("1.37.2", &[&value]).unwrap_err();
        assert!(refused.contains("from 100ms to 1h"), "{bad}: {refused}");
    }
    for bad in ["1d", "1.5s", "-1s", "1 s", "s", "1us", "1234567890ms"] {
        let value = format!("agent.interval={bad}");
        let refused = helm.render("1.37.2", &[&value]).unwrap_err();
        assert!(refused.contains("/agent/interval"), "{bad}: {refused}");
    }
}

/// The chart's schema reads the spans that a policy's schema reads.
#[test]
fn the_grammar_of_times_is_that_of_the_policies() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let values: Value = serde_json::from_str(&read("charts/sexton/values.schema.json")).unwrap();
    let crds = read("charts/sexton/crds/crds.yaml");
    for path in [
        "/properties/agent/properties/interval",
        "/properties/monitoring/properties/podMonitor/properties/interval",
    ] {
        let pattern = values.pointer(path).unwrap()["pattern"].as_str().unwrap();
        assert!(crds.contains(&format!("pattern: {pattern}\n")), "{path}");
    }
}

#[test]
fn nothing_is_touched_by_default() {
    let helm = helm!();
    let objects = helm.render("1.37.2", &[]).unwrap();
    for policy in of_kind(&objects, "ReapPolicy") {
        assert_eq!(
            policy.0["spec"],
            json!({"mode": "dryRun", "maxRung": "reap"})
        );
    }
    let pod = &the(&objects, "DaemonSet").0["spec"]["template"]["spec"];
    let text = pod.to_string();
    assert!(
        !text.contains(".sock") && !text.contains("--enable"),
        "{text}"
    );
}

#[test]
fn the_pod_has_what_it_needs_and_no_more() {
    let helm = helm!();
    let objects = helm.render("1.37.2", &[]).unwrap();
    let pod = &the(&objects, "DaemonSet").0["spec"]["template"]["spec"];
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(
        *container,
        json!({
            "privileged": false,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE", "IPC_LOCK", "KILL", "SYS_PTRACE"]},
        })
    );
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert_eq!(pod["hostNetwork"], Value::Null);
    assert_eq!(pod["hostIPC"], Value::Null);
    let paths: Vec<&str> = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| volume["hostPath"]["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/sys/fs/cgroup", "/var/log/sexton", "/run/sexton"]);
}

#[test]
fn a_common_label_is_on_every_object_and_on_the_pods() {
    let helm = helm!();
    let label = |object: &Value| object["metadata"]["labels"]["cost"].clone();
    let objects = helm.render("1.37.2", EVERYTHING).unwrap();
    for object in &objects {
        // Helm leaves the files of crds/ as they are.
        if object.0["kind"] != "CustomResourceDefinition" {
            assert_eq!(label(&object.0), "platform", "{object:?}");
        }
    }
    let set = the(&objects, "DaemonSet");
    assert_eq!(label(&set.0["spec"]["template"]), "platform");
    assert_eq!(set.0["metadata"]["annotations"]["note"], "x");
    let selector = &set.0["spec"]["selector"]["matchLabels"];
    assert_eq!(selector.as_object().unwrap().len(), 2, "{selector}");
}

/// Whoever makes account and rights elsewhere gets none here, and the admission policy holds that
/// account to its node.
#[test]
fn account_and_rights_may_be_made_elsewhere() {
    let helm = helm!();
    let values = [
        "rbac.create=false",
        "serviceAccount.create=false",
        "serviceAccount.name=mine",
        "rungs.evict.enabled=true",
    ];
    let objects = helm.render("1.37.2", &values).unwrap();
    for kind in [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    ] {
        assert_eq!(of_kind(&objects, kind).count(), 0, "{kind}");
    }
    // No right, but what the rights are about: a Lease that the agent may not create.
    the(&objects, "Lease");
    let pod = &the(&objects, "DaemonSet").0["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "mine");
    let admission: Vec<_> = of_kind(&objects, "ValidatingAdmissionPolicy").collect();
    assert!(!admission.is_empty());
    for policy in admission {
        let text = policy.0.to_string();
        assert!(text.contains("system:serviceaccount:sexton:mine"), "{text}");
    }
    let objects = helm
        .render("1.37.2", &["serviceAccount.name=mine"])
        .unwrap();
    assert_eq!(
        the(&objects, "ServiceAccount").0["metadata"]["name"],
        "mine"
    );
    for binding in of_kind(&objects, "ClusterRoleBinding") {
        assert_eq!(binding.0["subjects"][0]["name"], "mine");
    }
}

#[test]
fn a_plain_prometheus_finds_each_node() {
    let helm = helm!();
    let values = ["service.enabled=true", "networkPolicy.enabled=false"];
    let objects = helm.render("1.37.2", &values).unwrap();
    let service = &the(&objects, "Service").0;
    let set = &the(&objects, "DaemonSet").0;
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(
        service["spec"]["selector"],
        set["spec"]["selector"]["matchLabels"]
    );
    let port = service["spec"]["ports"][0]["port"].to_string();
    let told = &service["metadata"]["annotations"];
    assert_eq!(told["prometheus.io/port"], Value::String(port));
    assert_eq!(told["prometheus.io/path"], "/metrics");
    assert_eq!(told["prometheus.io/scrape"], "true");
}

/// Verbs and resources of the agent's ClusterRole, `group/resource verb`, in order.
fn rights(objects: &[Object]) -> Vec<String> {
    let role = of_kind(objects, "ClusterRole")
        .find(|role| role.0["metadata"]["name"] == "sexton-agent")
        .expect("a ClusterRole");
    let strings = |value: &Value| -> Vec<String> {
        let values = value.as_array().into_iter().flatten();
        values.map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = Vec::new();
    for rule in role.0["rules"].as_array().unwrap() {
        for resource in strings(&rule["resources"]) {
            for verb in strings(&rule["verbs"]) {
                rights.push(format!(
                    "{} {resource} {verb}",
                    strings(&rule["apiGroups"])[0]
                ));
            }
        }
    }
    rights
}

#[test]
fn with_constrained_impersonation_it_has_no_right_of_its_own_over_the_cluster() {
    let helm = helm!();
    let rights = rights(
        &helm
            .render("1.37.2", &["rungs.evict.enabled=true"])
            .unwrap(),
    );
    for right in &rights {
        let own = right.starts_with("sexton.dev ");
        let as_node = right == "authentication.k8s.io nodes impersonate:associated-node"
            || right.contains(" impersonate-on:associated-node:");
        assert!(own || as_node, "{right}");
        assert!(!right.contains('*'), "{right}");
    }
    assert!(rights.iter().any(|right| right.contains("pods/eviction")));
    let without = self::rights(&helm.render("1.37.2", &[]).unwrap());
    assert!(!without.iter().any(|right| right.contains("pods/eviction")));
}

#[test]
fn without_it_it_reads_and_does_nothing_else_unless_told() {
    let helm = helm!();
    let plain = rights(
        &helm
            .render("1.35.4", &["rungs.evict.enabled=true"])
            .unwrap(),
    );
    let core: Vec<&String> = plain
        .iter()
        .filter(|right| !right.starts_with("sexton.dev "))
        .collect();
    assert_eq!(core, [" pods list", " pods watch", " nodes get"]);
    // A server that has it switched on early, and one that has it switched off.
    let always = rights(
        &helm
            .render("1.35.4", &["rights.impersonation=always"])
            .unwrap(),
    );
    let never = rights(
        &helm
            .render("1.37.2", &["rights.impersonation=never"])
            .unwrap(),
    );
    assert!(always.iter().any(|right| right.contains("impersonate:")));
    assert!(!never.iter().any(|right| right.contains("impersonate")));
}

/// The table of docs/kubernetes.md names each right, capability and mount.
#[test]
fn the_table_of_rights_is_whole() {
    let helm = helm!();
    let page = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    let (_, table) = page.split_once("## Rights").expect("a section Rights");
    let mut named: Vec<String> = Vec::new();
    for version in ["1.33.0", "1.37.2"] {
        let values = ["rungs.restart.enabled=true", "rungs.evict.enabled=true"];
        let objects = helm.render(version, &values).unwrap();
        named.extend(
            rights(&objects)
                .iter()
                .map(|right| right.split(' ').nth(1).unwrap_or_default().to_owned()),
        );
        let pod = &the(&objects, "DaemonSet").0["spec"]["template"]["spec"];
        let strings = |value: &Value| value.as_str().unwrap().to_owned();
        let add = &pod["containers"][0]["securityContext"]["capabilities"]["add"];
        named.extend(add.as_array().unwrap().iter().map(strings));
        let mounts = pod["volumes"].as_array().unwrap();
        named.extend(
            mounts
                .iter()
                .map(|volume| strings(&volume["hostPath"]["path"])),
        );
    }
    for name in named {
        assert!(
            table.contains(&format!("`{name}`")),
            "{name} is not in the table"
        );
    }
}

#[test]
fn the_plain_manifests_are_current() {
    let helm = helm!();
    let rendered = helm
        .run(&[
            "template",
            "sexton",
            "charts/sexton",
            "--include-crds",
            "--namespace=sexton",
            "--kube-version=1.36.0",
            "--set=image.repository=sexton.dev/sexton",
        ])
        .unwrap();
    let (crds, rest) = sexton_deploy::manifests::split(&rendered);
    for (file, made) in [("crds", crds), ("sexton", rest)] {
        let path = format!("deploy/kubernetes/{file}.yaml");
        let written = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        assert!(written == made, "{path}: make generate");
        assert!(
            !made.contains("helm.sh/") && !made.contains("Helm"),
            "{path}"
        );
        let objects: Vec<Value> = serde_saphyr::from_multiple(&made).unwrap();
        for object in objects.into_iter().map(Object) {
            assert_eq!(object.unknown_fields(), Vec::<String>::new(), "{path}");
        }
    }
}
