//! A pod with one container, as the API server and its node see it.

use serde_json::Value;
use sexton_lab::Cluster;

/// What has to stay the same for a program to have gone on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) node: String,
    /// Without its scheme.
    pub(crate) container: String,
    pub(crate) restarts: u64,
}

impl Pod {
    /// `None` until its container has been started.
    pub(crate) fn read(pod: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let container = &pod["status"]["containerStatuses"][0];
        container["state"]["running"].as_object()?;
        Some(Self {
            namespace: text(&pod["metadata"]["namespace"])?,
            name: text(&pod["metadata"]["name"])?,
            uid: text(&pod["metadata"]["uid"])?,
            node: text(&pod["spec"]["nodeName"])?,
            container: text(&container["containerID"])?.split_once("://")?.1.into(),
            restarts: container["restartCount"].as_u64()?,
        })
    }

    /// Zombies in it, counted by its own `/proc`.
    pub(crate) fn zombies(&self, cluster: &Cluster) -> Option<usize> {
        let count = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
        self.exec(cluster, &["/bin/sh", "-c", count])?
            .trim()
            .parse()
            .ok()
    }

    pub(crate) fn exec(&self, cluster: &Cluster, argv: &[&str]) -> Option<String> {
        let mut all = vec!["exec", "--namespace", &self.namespace, &self.name, "--"];
        all.extend(argv);
        cluster.try_kubectl(&all).ok()
    }

    pub(crate) fn logs(&self, cluster: &Cluster) -> String {
        let arguments = ["logs", "--namespace", &self.namespace, &self.name];
        cluster.try_kubectl(&arguments).unwrap_or_default()
    }

    /// Zombies in it, counted on its node: without the API server.
    pub(crate) fn zombies_by_node(&self, cluster: &Cluster) -> usize {
        let node = self.node.trim_start_matches("node").parse().unwrap();
        // A zombie on a hybrid tree says `/` on its v1 lines, and the path on its `0::` line.
        let count = format!(
            "n=0; for status in $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null); do \
             grep -qs {} ${{status%status}}cgroup && n=$((n+1)); done; echo $n",
            self.container
        );
        let printed = cluster.on_node(node, &["/bin/sh", "-c", &count]);
        printed.trim().parse().unwrap()
    }
}
