//! What runs on a node, through `pods/exec` of a real kubelet.
//!
//! In the place of the agent's program is a script that says how it was called: what the real one
//! does is tested with it (`crates/sexton/tests`).

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)] // helpers of tests

use serde_json::{Value, json};
use sexton_lab::{Cluster, require};

/// Says how it was called, more than one buffer holds, and ends with a status of its own.
const PROGRAM: &str = "\
#!/bin/sh
[ \"$1\" != agent ] || exec sleep 100000
case \"$*\" in
*--probes*' -o json')
    echo '{\"exitSignals\": [{\"probes\": [{\"probe\": \"readinessProbe\", \"finding\": \"It races.\"}]}]}'
    exit 1 ;;
esac
echo \"called: $*\"
case \"$*\" in
*--output=json*) echo '{\"kind\": \"Report\"}' >&1 ;;
*long*) seq 1 20000 ;;
esac
echo complaint >&2
exit 3
";

fn documents() -> Value {
    let agent = json!({
        "name": "agent", "image": sexton_lab::cluster::IMAGE, "imagePullPolicy": "Never",
        "command": ["/program/sexton", "agent"], "args": ["--path-rootfs=/host", "--interval=1"],
        "volumeMounts": [{"name": "program", "mountPath": "/program"}],
    });
    let pod = |namespace: &str, name: &str, container: Value, more: Value| {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"nodeName": "node2", "terminationGracePeriodSeconds": 0, "containers": [container]},
        });
        merge(&mut pod, more);
        pod
    };
    let app = json!({"name": "app", "image": sexton_lab::cluster::IMAGE, "imagePullPolicy": "Never",
        "command": ["sleep", "100000"]});
    let mut probed = app.clone();
    merge(
        &mut probed,
        json!({"readinessProbe": {"exec": {"command": ["sh", "/probe.sh"]}, "timeoutSeconds": 5}}),
    );
    let namespace =
        |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        namespace("sexton"), namespace("exec"),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "sexton", "name": "default"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "exec", "name": "default"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "sexton", "name": "program"},
         "data": {"sexton": PROGRAM}},
        pod("exec", "web", app.clone(), json!({})),
        pod("exec", "probed", probed, json!({})),
        pod("sexton", "agent-2", agent, json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "sexton"}},
            "spec": {"volumes": [{"name": "program", "configMap": {"name": "program", "defaultMode": 493}}]},
        })),
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "looker"},
         "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "looker"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "looker"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "looker"}]},
    ]})
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// Standard output, standard error and exit status; the API server is seen from a node only.
fn run(cluster: &Cluster, arguments: &str) -> (String, String, i32) {
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let script = format!(
        "{} {arguments} >{} 2>{}; echo $?",
        env!("CARGO_BIN_EXE_kubectl-sexton"),
        out.display(),
        err.display()
    );
    let status = cluster.on_node(1, &["sh", "-c", &script]);
    let read = |path| std::fs::read_to_string(path).unwrap();
    (read(out), read(err), status.trim().parse().unwrap())
}

#[test]
fn the_agents_own_command_runs_on_the_pods_node() {
    let Some(cluster) = require(Cluster::shared()) else {
        return;
    };
    cluster.apply(&documents().to_string());
    cluster.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "pod/web",
        "-n",
        "exec",
        "--timeout=90s",
    ]);
    cluster.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "pod/agent-2",
        "-n",
        "sexton",
        "--timeout=90s",
    ]);
    let web = cluster.get(&["pod", "web", "-n", "exec"]);
    let uid = web["metadata"]["uid"].as_str().unwrap();
    let id = web["status"]["containerStatuses"][0]["containerID"]
        .as_str()
        .unwrap();
    let id = id.strip_prefix("containerd://").unwrap();

    // With the agent's roots, without --yes; output, complaint and status are those of the node.
    let (out, err, status) = run(cluster, "reap web -n exec");
    assert_eq!(out, format!("called: --path-rootfs=/host reap pod/{uid}\n"));
    let legend = format!(
        "On node2: {uid} is pod exec/web, {} its container app.\n",
        &id[..12]
    );
    assert_eq!((err, status), (format!("{legend}complaint\n"), 3));
    let (out, ..) = run(cluster, "reap exec/web -c app --yes -- --settle 0");
    assert_eq!(
        out,
        format!("called: --path-rootfs=/host reap container/{id} --yes --settle 0\n")
    );
    let (out, ..) = run(cluster, "explain exec/web");
    assert_eq!(
        out,
        format!("called: --path-rootfs=/host explain pod/{uid}\n")
    );
    let (out, ..) = run(cluster, "limits exec/web -- --user 1000");
    assert_eq!(
        out,
        format!(
            "called: --path-rootfs=/host limits container/{} --user 1000\n",
            &id[..12]
        )
    );
    let (out, ..) = run(cluster, "audit exec/web");
    assert_eq!(
        out,
        format!("called: --path-rootfs=/host audit pod/{uid}\n")
    );
    // The agent is told of probes, and asked about one that is a script.
    cluster.kubectl(&[
        "wait",
        "--for=jsonpath={.status.phase}=Running",
        "pod/probed",
        "-n",
        "exec",
        "--timeout=90s",
    ]);
    let (out, ..) = run(cluster, "audit exec/probed");
    assert!(
        out.contains(r#" --probes [{"name":"readinessProbe","container":""#),
        "{out}"
    );
    assert!(
        out.contains(r#""command":["sh","/probe.sh"],"timeoutSeconds":5}]"#),
        "{out}"
    );
    let (out, err, status) = run(cluster, "audit --probes -n exec");
    let row: Vec<&str> = out
        .lines()
        .last()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let expected = ["Pod/probed", "app", "1", "readinessProbe", "It", "races."];
    assert_eq!((row.as_slice(), status), (&expected[..], 0), "{out} {err}");
    // Nothing is lost of much.
    let (out, _, status) = run(cluster, "reap exec/web -- long");
    assert_eq!(
        (out.lines().count(), out.ends_with("\n20000\n"), status),
        (20_001, true, 3)
    );

    // Kubernetes decides who may.
    let (out, err, status) = run(cluster, "reap exec/web --yes --as looker");
    assert_eq!((out.as_str(), status), ("", 1));
    assert!(err.starts_with("Error from server (Forbidden): "), "{err}");
    assert!(
        err.contains(
            "resources: [pods/exec], verbs: [create, get]} in a Role in the namespace of the agents"
        ),
        "{err}"
    );
    // An agent that is not there is named as the reason.
    cluster.kubectl(&["delete", "pod", "agent-2", "-n", "sexton", "--wait"]);
    let (_, err, status) = run(cluster, "reap exec/web");
    assert_eq!(status, 1);
    assert!(
        err.starts_with("error: no agent runs on node node2"),
        "{err}"
    );
}

/// The DaemonSet's controller, the kubelet and containerd say themselves why an agent is missing.
#[test]
fn check_names_the_node_that_is_left_out_and_the_image_that_cannot_be_pulled() {
    let Some(cluster) = require(Cluster::shared()) else {
        return;
    };
    let labels = json!({"app.kubernetes.io/name": "sexton"});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "check"}});
    cluster.apply(&namespace.to_string());
    let agent = |image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"namespace": "check", "name": "sexton-agent", "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"nodeSelector": {"kubernetes.io/hostname": "node2"},
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "agent", "image": image,
                        "imagePullPolicy": "IfNotPresent", "command": ["sleep", "100000"]}]}}}})
    };
    let check = || {
        let (out, err, status) = run(cluster, "check -o json --agent-namespace check");
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {err}"));
        let checks = document["checks"].as_array().unwrap();
        let lines = checks.iter().map(|check| {
            let text = |key: &str| check[key].as_str().unwrap();
            format!("{} {}: {}", text("status"), text("name"), text("found"))
        });
        (lines.collect::<Vec<String>>().join("\n"), status)
    };
    // Nothing answers at that address.
    let missing = "127.0.0.1:9/sexton:none";
    cluster.apply(&agent(missing).to_string());
    let told = sexton_lab::wait_until("the kubelet cannot pull", || {
        let (told, status) = check();
        assert_eq!(status, 2, "{told}");
        told.contains("failed image: ").then_some(told)
    });
    let pulled = format!("failed image: {missing} cannot be pulled on 1 node (node2): ");
    assert!(told.contains(&pulled), "{told}");
    let left_out = "warning agents: there is none on 1 node (node1): the nodeSelector asks for \
                    kubernetes.io/hostname=node2, and the value there is node1";
    assert!(told.contains(left_out), "{told}");
    assert!(
        told.contains("failed agents: the agent's pod does not run on 1 node (node2)"),
        "{told}"
    );

    // With an image it runs; without the custom resource nothing is said of reports.
    cluster.apply(&agent(sexton_lab::cluster::IMAGE).to_string());
    let told = sexton_lab::wait_until("the pod runs", || {
        let told = check().0;
        told.contains("ok agents: ready on 1 node (node2)")
            .then_some(told)
    });
    assert!(told.contains("ok image: "), "{told}");
    assert!(told.contains("failed custom resources: "), "{told}");
    assert!(!told.contains("ok policies"), "{told}");
    cluster.kubectl(&["delete", "namespace", "check", "--wait=false"]);
}
