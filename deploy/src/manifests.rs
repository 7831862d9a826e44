//! Plain manifests, for those without Helm: what it renders, without what is Helm's own.

/// The two files: CRDs, and all else in a namespace of its own.
///
/// They are two, since `kubectl apply` looks up every kind before it makes anything.
#[must_use]
pub fn split(rendered: &str) -> (String, String) {
    const MADE: &str = "# Rendered from charts/sexton by `make generate`; do not edit. For Kubernetes 1.36 and later:\n\
        # below, `helm template charts/sexton --kube-version 1.35.0` has the rights that are possible.\n";
    let mut crds = MADE.to_owned();
    // hostPID and hostPath are privileged by the pod security standards.
    let mut rest = format!(
        "{MADE}apiVersion: v1\nkind: Namespace\nmetadata:\n  name: sexton\n  labels:\n    \
         pod-security.kubernetes.io/enforce: privileged\n"
    );
    for document in rendered.split("\n---\n") {
        let document: String = document
            .lines()
            .filter(|line| !of_helm(line))
            .flat_map(|line| [line.trim_end(), "\n"])
            .collect();
        let document = document.trim();
        if document.is_empty() {
            continue;
        }
        let file = if document.contains("\nkind: CustomResourceDefinition\n") {
            &mut crds
        } else {
            &mut rest
        };
        file.push_str("---\n");
        file.push_str(document);
        file.push('\n');
    }
    (crds, rest)
}

fn of_helm(line: &str) -> bool {
    let line = line.trim_start();
    line == "---"
        || ["# Source: ", "helm.sh/", "app.kubernetes.io/managed-by:"]
            .iter()
            .any(|start| line.starts_with(start))
}
