//! An API server that has the custom resources.

use std::future::Future;
use std::sync::OnceLock;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use sexton_lab::{Skip, process::wait_until};

/// An API server that has the custom resources.
pub(crate) struct Server {
    pub(crate) lab: &'static sexton_lab::Cluster,
}

impl Server {
    /// The one of this process.
    pub(crate) fn shared() -> Result<&'static Self, Skip> {
        static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let lab = sexton_lab::Cluster::control_plane().map_err(|skip| skip.0)?;
            Ok(Self::of(lab))
        });
        shared.as_ref().map_err(|reason| Skip(reason.clone()))
    }

    /// One of its own, for a test that stops it. It lives as long as the process.
    pub(crate) fn own() -> Result<Self, Skip> {
        let lab = sexton_lab::Cluster::control_plane_with(&[])?;
        Ok(Self::of(Box::leak(Box::new(lab))))
    }

    fn of(lab: &'static sexton_lab::Cluster) -> Self {
        for definition in sexton_cluster::crd::all() {
            let name = definition.metadata.name.clone().unwrap();
            lab.apply(&serde_json::to_string(&definition).unwrap());
            let crd = format!("crd/{name}");
            lab.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &crd]);
        }
        let server = Self { lab };
        // A resource that has just been established may not be served yet.
        wait_until("both are served", || {
            let listed = lab.try_kubectl(&["get", "sexton"]);
            listed.is_ok().then_some(())
        });
        server
    }

    /// A client as administrator, of the runtime that runs now.
    pub(crate) async fn client(&self) -> Client {
        let file = Kubeconfig::read_from(self.lab.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .unwrap();
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    /// All of a kind.
    pub(crate) async fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        Api::all(self.client().await)
    }
}

/// Runs to the end, on this thread.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
