//! Whether the runbooks that the alerts link to can be read from here.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Method, Request, Uri};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::client::Body;
use kube::{Client, Config};
use serde_json::Value;
use sexton_core::check::Check;

use super::unread;
use crate::connect::Connected;
use crate::seen::{self, AGENTS};

const NAME: &str = "runbooks";
/// For all of them together: a person waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// No more are asked for; the chart has fewer alerts.
const MOST: usize = 64;

/// A rule of ours is the cluster's word: each address is asked for its head, without credentials.
pub(super) async fn checks(at: &Connected) -> Vec<Check> {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PrometheusRule");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> =
        Api::namespaced_with(at.client.clone(), &at.agent_namespace, &resource);
    let rules = match seen::all(&api, &ListParams::default().labels(AGENTS)).await {
        Ok(rules) => rules,
        // The operator of Prometheus is not here.
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return vec![unread(NAME, &error)],
    };
    let found: BTreeSet<String> = rules.iter().flat_map(|rule| links(&rule.data)).collect();
    if found.is_empty() {
        let found = "no alerts are installed here (monitoring.rules.enabled)";
        return vec![Check::ok(NAME, found)];
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut unreached = Vec::new();
    for link in found.iter().take(MOST) {
        let answer = tokio::time::timeout_at(deadline, head(link)).await;
        let answer = answer.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
        if let Err(why) = answer {
            unreached.push(format!("{link}: {why}"));
        }
    }
    let advice = "From here they cannot be read; whoever is alerted may have another way. Set \
                  monitoring.rules.runbookUrl to where docs/runbooks can be read.";
    match &unreached[..] {
        [] => {
            let found = format!("{} can be read", found.len());
            vec![Check::ok(NAME, found)]
        }
        [one] => vec![Check::warning(NAME, one, advice)],
        [first, more @ ..] => {
            let found = format!("{first}; and {} more", more.len());
            vec![Check::warning(NAME, found, advice)]
        }
    }
}

/// `spec.groups[].rules[].annotations.runbook_url`.
fn links(rule: &Value) -> Vec<String> {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let groups = array(&rule["spec"]["groups"]);
    let rules = groups.iter().flat_map(|group| array(&group["rules"]));
    let link = |rule: Value| {
        rule["annotations"]["runbook_url"]
            .as_str()
            .map(str::to_owned)
    };
    rules.filter_map(link).collect()
}

/// Whether the address answers; without a word of the cluster's credentials.
async fn head(link: &str) -> Result<(), String> {
    let uri: Uri = link.parse().map_err(|_| "it is no address".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it is no address of the web".to_owned());
    }
    let mut base = uri.clone().into_parts();
    let path = base
        .path_and_query
        .replace(http::uri::PathAndQuery::from_static("/"));
    let base = Uri::from_parts(base).map_err(|error| error.to_string())?;
    let client = Client::try_from(Config::new(base)).map_err(|error| error.to_string())?;
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(path.map_or_else(|| "/".to_owned(), |path| path.to_string()))
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    let answer = client
        .send(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_client_error() || status.is_server_error() {
        return Err(format!("the answer is {status}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn links_of_rules() {
        let rule = json!({"spec": {"groups": [{"rules": [
            {"alert": "A", "annotations": {"runbook_url": "https://x/A"}},
            {"record": "b", "expr": "1"}, {"annotations": {"runbook_url": 7}}]}, {}]}});
        assert_eq!(links(&rule), ["https://x/A"]);
        assert!(links(&json!({"spec": {"groups": "none"}})).is_empty());
    }

    #[tokio::test]
    async fn what_is_no_address_is_not_asked() {
        for link in ["docs/runbooks/A.md", "file:///etc/passwd", "::"] {
            assert!(head(link).await.is_err(), "{link}");
        }
    }
}
