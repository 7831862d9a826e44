//! Two ways to speak to the API server: as oneself, and as the own node.
//!
//! Policies, reports and the Lease are the agent's own matter. Whatever concerns the node (its
//! pods, their eviction, its condition, events) the agent asks for as its node, by constrained
//! impersonation (KEP-5284, on from Kubernetes 1.36): the Node authorizer and NodeRestriction then
//! let it see and touch what is on this node and nothing else, whatever is in its ClusterRole.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, Config};

use crate::Error;
use crate::pods::NodePod;

/// By which the server's audit log knows it.
const AGENT: &str = concat!("sexton-agent/", env!("CARGO_PKG_VERSION"));
/// How long one answer may take; a watch is another matter.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// Longer than a watch lasts (290 s in kube): what is silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(320);

/// The configuration that `KUBECONFIG` names, else that of the pod.
///
/// # Errors
/// There is none.
pub(crate) async fn config() -> Result<Config, Error> {
    if std::env::var_os("KUBECONFIG").is_some() {
        let options = kube::config::KubeConfigOptions::default();
        return Config::from_kubeconfig(&options)
            .await
            .map_err(|error| Error::NoServer(error.to_string()));
    }
    Config::incluster().map_err(|error| Error::NoServer(error.to_string()))
}

/// A request that is given up in time.
///
/// # Errors
/// It failed, or took too long.
pub(crate) async fn within<T>(
    time: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(time, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::Slow(time)),
    }
}

/// In whose name the agent asks for what concerns its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acting {
    /// In that of the node.
    AsNode,
    /// In its own: the server knows no constrained impersonation, or does not allow it.
    AsItself {
        /// Why not as the node, in the server's words.
        why: String,
    },
}

/// The clients of one agent.
pub(crate) struct Clients {
    /// As the agent's own ServiceAccount.
    pub own: Client,
    as_node: Client,
    node: String,
    acting: RefCell<Acting>,
}

/// What has to do with the node, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: Option<&'static str>,
    pub purpose: &'static str,
}

/// Reading the node's pods.
pub(crate) const PODS: Right = Right {
    verb: "list",
    group: "",
    resource: "pods",
    subresource: None,
    purpose: "names, owners and opt-outs of pods",
};
/// Evicting a pod.
pub(crate) const EVICTION: Right = Right {
    verb: "create",
    group: "",
    resource: "pods",
    subresource: Some("eviction"),
    purpose: "eviction",
};
/// Telling events.
pub(crate) const EVENTS: Right = Right {
    verb: "create",
    group: "events.k8s.io",
    resource: "events",
    subresource: None,
    purpose: "events",
};
/// Setting the node's condition.
pub(crate) const CONDITION: Right = Right {
    verb: "patch",
    group: "",
    resource: "nodes",
    subresource: Some("status"),
    purpose: "the condition ZombieLeak of the node",
};

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, resource, .. } = self;
        write!(f, "{verb} {resource}")?;
        self.subresource.map_or(Ok(()), |part| write!(f, "/{part}"))
    }
}

impl Clients {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// A certificate or token cannot be used.
    pub(crate) fn new(mut config: Config, node: &str) -> Result<Self, Error> {
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        // What may be tried again, and when, is decided here: the client would go on evicting
        // against a disruption budget.
        config.default_retry = false;
        if let (Ok(name), Ok(value)) = ("user-agent".parse(), AGENT.parse()) {
            config.headers.push((name, value));
        }
        let mut as_node = config.clone();
        as_node.auth_info.impersonate = Some(format!("system:node:{node}"));
        Ok(Self {
            own: Client::try_from(config).map_err(Error::Client)?,
            as_node: Client::try_from(as_node).map_err(Error::Client)?,
            node: node.to_owned(),
            acting: RefCell::new(Acting::AsNode),
        })
    }

    /// The client for what concerns the node.
    pub(crate) fn node(&self) -> Client {
        match *self.acting.borrow() {
            Acting::AsNode => self.as_node.clone(),
            Acting::AsItself { .. } => self.own.clone(),
        }
    }

    /// Finds out in whose name the agent can ask. Asking is the only way: RBAC says yes to the
    /// verb `impersonate-on:…` on a server that has never heard of it.
    ///
    /// # Errors
    /// The server does not answer; all is as before.
    pub(crate) async fn probe(&self) -> Result<Acting, Error> {
        let acting = match self.look_for_pods(&self.as_node).await {
            Ok(()) => Acting::AsNode,
            Err(Error::Refused {
                code: 401 | 403,
                message,
            }) => Acting::AsItself { why: message },
            Err(error) => return Err(error),
        };
        *self.acting.borrow_mut() = acting.clone();
        Ok(acting)
    }

    async fn look_for_pods(&self, client: &Client) -> Result<(), Error> {
        let pods: Api<NodePod> = Api::all(client.clone());
        // From the server's cache, as the watch begins.
        let few = ListParams::default()
            .fields(&crate::pods::of_node(&self.node))
            .match_any()
            .limit(1);
        within(PATIENCE, pods.list_metadata(&few)).await.map(drop)
    }

    /// Whether the agent's own account has a right. Anybody may ask this about himself.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) async fn has(&self, right: Right) -> Result<bool, Error> {
        let Right {
            verb,
            group,
            resource,
            subresource,
            ..
        } = right;
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    subresource: subresource.map(ToOwned::to_owned),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.own.clone());
        let post = PostParams::default();
        let answer = within(PATIENCE, reviews.create(&post, &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}
