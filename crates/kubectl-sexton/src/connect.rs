//! From kubectl's flags and files to a client.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cli::Connection;
use crate::error::Error;

/// A way to the API server.
pub struct Connected {
    pub client: Client,
    /// What `-n` says, else the namespace of the context.
    pub namespace: String,
    /// Its address.
    pub server: String,
    /// What people call this cluster: the context.
    pub name: String,
    /// Where the agents are.
    pub agent_namespace: String,
    /// For what takes its time, whatever `--request-timeout` says.
    patient: Config,
}

impl Connected {
    /// A client that waits for as long as it takes.
    ///
    /// # Errors
    /// As for the first one.
    pub fn patient(&self) -> Result<Client, Error> {
        Client::try_from(self.patient.clone()).map_err(Error::Client)
    }
}

/// Connects; nothing is sent yet.
///
/// # Errors
/// There is no configuration, or it cannot be used.
pub async fn connect(connection: &Connection) -> Result<Connected, Error> {
    let (mut config, name) = config(connection).await?;
    impersonate(connection, &mut config)?;
    if let Some(namespace) = &connection.namespace {
        config.default_namespace.clone_from(namespace);
    }
    let patient = config.clone();
    if !connection.request_timeout.is_zero() {
        config.read_timeout = Some(connection.request_timeout);
        config.connect_timeout = Some(connection.request_timeout);
        config.default_retry = false;
    }
    Ok(Connected {
        namespace: config.default_namespace.clone(),
        server: config.cluster_url.to_string(),
        client: Client::try_from(config).map_err(Error::Client)?,
        name,
        agent_namespace: connection.agent_namespace.clone(),
        patient,
    })
}

async fn config(connection: &Connection) -> Result<(Config, String), Error> {
    let file = kubeconfig(connection)?;
    let Some(file) = file else {
        // As kubectl does in a pod.
        let config = Config::incluster().map_err(|_| Error::NoConfiguration)?;
        return Ok((config, "in-cluster".to_owned()));
    };
    let name = connection
        .context
        .clone()
        .or_else(|| file.current_context.clone())
        .unwrap_or_default();
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        cluster: connection.cluster.clone(),
        user: connection.user.clone(),
    };
    let config = Config::from_custom_kubeconfig(file, &options).await?;
    Ok((config, name))
}

/// The files that kubectl reads, merged as it does: one of `$KUBECONFIG` that is not there counts
/// for nothing, which the `kube` crate takes for an error.
fn kubeconfig(connection: &Connection) -> Result<Option<Kubeconfig>, Error> {
    if let Some(path) = &connection.kubeconfig {
        if !path.exists() {
            return Err(Error::NoKubeconfig(path.clone()));
        }
        return Ok(Some(Kubeconfig::read_from(path)?));
    }
    let listed: Vec<PathBuf> = std::env::var_os("KUBECONFIG")
        .map(|paths| std::env::split_paths(&paths).collect())
        .unwrap_or_default();
    let mut files: Vec<PathBuf> = listed
        .into_iter()
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if files.is_empty() {
        files.extend(std::env::home_dir().map(|home| home.join(".kube").join("config")));
    }
    let mut merged: Option<Kubeconfig> = None;
    for path in files.iter().filter(|path| path.exists()) {
        let next = Kubeconfig::read_from(path)?;
        merged = Some(match merged {
            Some(former) => former.merge(next)?,
            None => next,
        });
    }
    Ok(merged)
}

/// `--as` and its like, in place of what the kubeconfig says of it.
fn impersonate(connection: &Connection, config: &mut Config) -> Result<(), Error> {
    let Connection {
        as_user,
        as_group,
        as_uid,
        ..
    } = connection;
    if as_user.is_none() && (!as_group.is_empty() || as_uid.is_some()) {
        return Err(Error::Usage(
            "requesting uid or groups without impersonating a user: give --as too".to_owned(),
        ));
    }
    let auth = &mut config.auth_info;
    if as_user.is_some() {
        auth.impersonate.clone_from(as_user);
        auth.impersonate_uid.clone_from(as_uid);
        auth.impersonate_groups = (!as_group.is_empty()).then(|| as_group.clone());
        auth.impersonate_user_extra = None;
    }
    Ok(())
}
