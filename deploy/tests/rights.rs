//! What an agent may do with the token of its own pod, and what not: the chart, installed into a
//! real API server.

use std::fmt::Write as _;
use std::path::Path;

use sexton_lab::{Cluster, require};

/// Required by the chart; nothing pulls it here.
const IMAGE: &str = "--set=image.repository=registry.example.com/sexton";

/// The chart, two nodes with a pod of the agent and one of somebody else each, and the token of the
/// agent on `node1`.
struct Installed<'a> {
    cluster: &'a Cluster,
    token: String,
}

impl<'a> Installed<'a> {
    fn new(cluster: &'a Cluster, values: &[&str]) -> Self {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/sexton");
        let mut words = vec![
            "install",
            "sexton",
            chart.to_str().expect("a path in UTF-8"),
        ];
        words.extend(["--namespace=sexton", "--create-namespace", IMAGE]);
        words.extend(values.iter().flat_map(|value| ["--set", value]));
        cluster.helm(&words);
        let mut objects = String::new();
        for node in ["node1", "node2"] {
            let _ = write!(
                objects,
                "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {node}}}}}\n"
            );
            for (namespace, pod, account) in [
                ("sexton", "agent", "sexton-agent"),
                ("default", "shop", "default"),
            ] {
                let _ = write!(
                    objects,
                    "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {pod}-{node}, namespace: \
                     {namespace}}}, spec: {{nodeName: {node}, serviceAccountName: {account}, \
                     automountServiceAccountToken: false, containers: [{{name: a, image: a}}]}}}}\n"
                );
            }
        }
        cluster.apply(
            "{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: default}}",
        );
        cluster.apply(&objects);
        let token = Self::token(
            cluster,
            &["--bound-object-kind=Pod", "--bound-object-name=agent-node1"],
        );
        Self { cluster, token }
    }

    fn token(cluster: &Cluster, bound: &[&str]) -> String {
        let mut words = vec!["create", "token", "sexton-agent", "--namespace=sexton"];
        words.extend(bound);
        cluster.kubectl(&words).trim().to_owned()
    }

    fn with(&self, token: &str, line: &str, input: Option<&str>) -> Result<String, String> {
        let token = format!("--token={token}");
        let mut words = vec![token.as_str()];
        words.extend(line.split(' '));
        self.cluster.try_kubectl_with(&words, input)
    }

    /// kubectl with the agent's token, which is let do it.
    fn may(&self, line: &str, input: Option<&str>) {
        self.with(&self.token, line, input)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }

    /// kubectl with the agent's token, which is refused in these words.
    fn may_not(&self, line: &str, input: Option<&str>, words: &str) {
        let refused = self.with(&self.token, line, input);
        let error = refused.expect_err(line);
        assert!(
            error.contains("forbidden") && error.contains(words),
            "{line}: {error}"
        );
    }
}

fn report(node: &str) -> String {
    format!("{{apiVersion: sexton.dev/v1alpha1, kind: ZombieReport, metadata: {{name: {node}}}}}")
}

fn eviction(pod: &str) -> String {
    format!(
        "{{\"apiVersion\": \"policy/v1\", \"kind\": \"Eviction\", \"metadata\": {{\"name\": \"{pod}\"}}}}"
    )
}

const EVENT: &str = "{apiVersion: events.k8s.io/v1, kind: Event, \
    metadata: {name: tested, namespace: default}, eventTime: '2026-11-24T00:00:00.000000Z', \
    reportingController: sexton.dev/agent, reportingInstance: node1, action: Reap, reason: ReapStarting, \
    type: Normal, note: x, regarding: {kind: Pod, namespace: default, name: shop-node1}}";

const CREATE: &str = "create --validate=false --filename=-";
const LABEL: &str = "--type=merge --patch={\"metadata\":{\"labels\":{\"a\":\"b\"}}}";

#[test]
fn an_agent_reaches_its_own_node_and_nothing_else() {
    let Some(cluster) = require(Cluster::control_plane()) else {
        return;
    };
    let it = Installed::new(cluster, &["rungs.evict.enabled=true"]);

    // Its own report, as itself.
    it.may(CREATE, Some(&report("node1")));
    it.may(&format!("patch zombiereport node1 {LABEL}"), None);
    it.may_not(
        CREATE,
        Some(&report("node2")),
        "the agent of node1 writes the report of its own node alone",
    );
    cluster.apply(&report("node2"));
    it.may_not(
        &format!("patch zombiereport node2 {LABEL}"),
        None,
        "not that of node2",
    );
    it.may_not("delete zombiereport node1", None, "cannot delete");
    // A token that is not of a pod writes no report at all.
    let unbound = Installed::token(cluster, &[]);
    let refused = it.with(&unbound, CREATE, Some(&report("node3")));
    assert!(refused.is_err_and(|error| error.contains("names no node")));
    // Others write what RBAC lets them: the policy is about agents alone.
    cluster.kubectl(&["label", "zombiereport", "node2", "a=b"]);

    // Policies are read and not written; the Lease is the one that the chart made.
    it.may("get reappolicies", None);
    it.may_not(
        &format!("patch reappolicy default {LABEL}"),
        None,
        "cannot patch",
    );
    it.may("get lease sexton-evictions --namespace=sexton", None);
    it.may_not("get lease other --namespace=sexton", None, "cannot get");
    it.may_not("get lease other --namespace=default", None, "cannot get");

    // Nothing of the cluster as itself.
    for what in ["pods", "nodes", "secrets", "events", "configmaps"] {
        it.may_not(
            &format!("get {what} --namespace=default"),
            None,
            "sexton-agent\" cannot list",
        );
    }

    // As its own node: that node's pods, itself, events.
    let own = "--as=system:node:node1";
    let of =
        |node: &str| format!("get pods --all-namespaces --field-selector=spec.nodeName={node}");
    it.may(&format!("{own} {}", of("node1")), None);
    it.may_not(&format!("{own} {}", of("node2")), None, "node1");
    it.may_not(
        &format!("{own} get pods --all-namespaces"),
        None,
        "spec.nodeName",
    );
    it.may(&format!("{own} get node node1"), None);
    it.may_not(&format!("{own} get node node2"), None, "node1");
    it.may(&format!("{own} {CREATE}"), Some(EVENT));

    // Of what a kubelet may do, nothing beside that.
    it.may_not(
        &format!("{own} get secrets --namespace=default"),
        None,
        "impersonate-on:associated-node:list",
    );
    it.may_not(
        &format!("{own} delete pod shop-node1"),
        None,
        "impersonate-on:associated-node:delete",
    );
    it.may_not(
        &format!("{own} label node node1 a=b"),
        None,
        "impersonate-on:associated-node:patch",
    );
    // And it is no other node, nor anybody else.
    it.may_not(
        &format!("--as=system:node:node2 {}", of("node2")),
        None,
        "impersonate",
    );
    it.may_not("--as=admin get pods", None, "impersonate");
    it.may_not(
        &format!("{own} --as-group=system:masters get pods"),
        None,
        "impersonate",
    );

    // Eviction.
    let evict = |pod: &str| {
        format!("{own} create --raw=/api/v1/namespaces/default/pods/{pod}/eviction --filename=-")
    };
    it.may_not(&evict("shop-node2"), Some(&eviction("shop-node2")), "node1");
    it.may(&evict("shop-node1"), Some(&eviction("shop-node1")));
}

#[test]
fn without_constrained_impersonation_it_only_reads() {
    let flags = ["--feature-gates=ConstrainedImpersonation=false"];
    let Some(cluster) = require(Cluster::control_plane_with(&flags)) else {
        return;
    };
    // The server's version says that it has it: somebody has switched it off.
    let values = ["rights.impersonation=never", "rungs.evict.enabled=true"];
    let it = Installed::new(&cluster, &values);
    it.may(CREATE, Some(&report("node1")));
    it.may_not(CREATE, Some(&report("node2")), "node1");
    it.may("get pods --all-namespaces", None);
    it.may_not("get secrets", None, "cannot list");
    it.may_not("get nodes", None, "cannot list");
    it.may_not(CREATE, Some(EVENT), "cannot create");
    it.may_not("--as=system:node:node1 get pods", None, "impersonate");
    let evict = "create --raw=/api/v1/namespaces/default/pods/shop-node1/eviction --filename=-";
    it.may_not(evict, Some(&eviction("shop-node1")), "pods/eviction");
    it.may_not("delete pod shop-node1", None, "cannot delete");
}

/// All objects of all kinds that can be listed, but those that come and go by themselves.
fn everything(cluster: &Cluster) -> Vec<String> {
    let kinds = cluster.kubectl(&["api-resources", "--verbs=list", "--output=name"]);
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events") && !kind.starts_with("leases"))
        .collect();
    let names = cluster.kubectl(&["get", &kinds.join(","), "--all-namespaces", "--output=name"]);
    let mut names: Vec<String> = names.lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn installed_upgraded_and_removed_it_leaves_nothing() {
    let Some(cluster) = require(Cluster::control_plane_with(&[])) else {
        return;
    };
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/sexton");
    let chart = chart.to_str().expect("a path in UTF-8");
    cluster.kubectl(&["create", "namespace", "sexton"]);
    let before = everything(&cluster);
    cluster.helm(&["install", "sexton", chart, "--namespace=sexton", IMAGE]);
    assert!(everything(&cluster).len() > before.len() + 9);
    let spec = |field: &str| cluster.get(&["reappolicy", "default"])["spec"][field].clone();
    assert_eq!(spec("mode"), "dryRun");

    let upgrade = [
        "upgrade",
        "sexton",
        chart,
        "--namespace=sexton",
        "--reuse-values",
    ];
    let with = |value| cluster.helm(&[&upgrade[..], &["--set", value]].concat());
    with("policy.mode=enforce");
    assert_eq!(spec("mode"), "enforce");
    with("policy.spec.settle=2m");
    assert_eq!(
        (spec("mode"), spec("settle")),
        ("enforce".into(), "2m".into())
    );
    cluster.apply(&report("node1"));

    // The emergency stop, and an operator's own word beside it, outlast an upgrade.
    let uid = || cluster.get(&["reappolicy", "default"])["metadata"]["uid"].clone();
    let before_upgrade = uid();
    let stop = r#"{"spec": {"paused": true}, "metadata": {"annotations": {"why": "incident 7"}}}"#;
    cluster.kubectl(&["patch", "reappolicy", "default", "--type=merge", "-p", stop]);
    for values in ["policy.spec.settle=3m", "policy.paused=true"] {
        with(values);
        assert_eq!(spec("paused"), true, "{values}");
    }
    assert_eq!(spec("settle"), "3m");
    let policy = cluster.get(&["reappolicy", "default"]);
    assert_eq!(policy["metadata"]["annotations"]["why"], "incident 7");
    assert_eq!(uid(), before_upgrade, "it was deleted and made anew");

    cluster.helm(&["uninstall", "sexton", "--namespace=sexton", "--wait"]);
    let names = everything(&cluster);
    assert!(
        names
            .iter()
            .any(|name| name.contains("zombiereport") && name.ends_with("/node1"))
    );
    cluster.kubectl(&[
        "delete",
        "crd",
        "reappolicies.sexton.dev",
        "zombiereports.sexton.dev",
    ]);
    let gone = || everything(&cluster) == before;
    sexton_lab::wait_until("nothing is left", || gone().then_some(()));
}

/// As Argo CD does it, which renders the chart and applies all of it, hooks or none.
#[test]
fn what_is_rendered_and_applied_keeps_the_emergency_stop() {
    let Some(cluster) = require(Cluster::control_plane_with(&[])) else {
        return;
    };
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/sexton");
    let chart = chart.to_str().expect("a path in UTF-8");
    cluster.kubectl(&["create", "namespace", "sexton"]);
    let apply = |values: &[&str]| {
        let render = ["template", "sexton", chart, "--namespace=sexton", IMAGE];
        let crds = cluster.helm(&["show", "crds", chart]);
        cluster.apply(&crds);
        cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all"]);
        cluster.apply(&cluster.helm(&[&render[..], values].concat()));
    };
    apply(&[]);
    let stop = r#"{"spec": {"paused": true}}"#;
    cluster.kubectl(&["patch", "reappolicy", "default", "--type=merge", "-p", stop]);
    apply(&["--set=policy.spec.settle=3m"]);
    let spec = &cluster.get(&["reappolicy", "default"])["spec"];
    assert_eq!(
        (&spec["paused"], &spec["settle"]),
        (&true.into(), &"3m".into())
    );
}

#[test]
fn the_plain_manifests_are_taken_too() {
    let Some(cluster) = require(Cluster::control_plane_with(&[])) else {
        return;
    };
    let apply = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("kubernetes/{file}.yaml"));
        cluster.kubectl(&[
            "apply",
            "--validate=strict",
            "--filename",
            &path.to_string_lossy(),
        ]);
    };
    apply("crds");
    cluster.kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=60s",
    ]);
    apply("sexton");
    assert_eq!(
        cluster.get(&["reappolicy", "default"])["spec"]["mode"],
        "dryRun"
    );
    let namespace = cluster.get(&["namespace", "sexton"]);
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "privileged"
    );
}
