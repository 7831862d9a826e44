//! What can go wrong between a node's agent and the API server.

use std::time::Duration;

/// What can go wrong between a node's agent and the API server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a service account's token nor a kubeconfig is there.
    #[error("cannot find the API server's address: {0}")]
    NoServer(String),
    /// What is there cannot be used.
    #[error("cannot make a client for the API server: {0}")]
    Client(#[source] kube::Error),
    /// It does not answer.
    #[error("the API server did not answer within {}", seconds(.0))]
    Slow(Duration),
    /// It answers, and says no.
    #[error("the API server says {code}: {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Its own words.
        message: String,
    },
    /// There is no way to it.
    #[error("the API server cannot be asked: {}", causes(&**.0))]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No thread can be made.
    #[error("cannot start the thread for the cluster: {}", sexton_core::text::os(.0))]
    Thread(#[from] std::io::Error),
}

impl Error {
    /// The HTTP status with which the API server said no.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// It may be different in a moment, whatever was asked for.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Slow(_) | Self::Unreachable(_) => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            Self::NoServer(_) | Self::Client(_) | Self::Thread(_) => false,
        }
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                // Which disruption budget it is stands in a cause alone.
                let details = status.details.iter();
                let causes = details.flat_map(|details| &details.causes);
                let said: Vec<&str> = std::iter::once(status.message.as_str())
                    .chain(causes.map(|cause| cause.message.as_str()))
                    .filter(|words| !words.is_empty())
                    .collect();
                Self::Refused {
                    code: status.code,
                    message: said.join(" "),
                }
            }
            error => Self::Unreachable(Box::new(error)),
        }
    }
}

impl From<kube::runtime::watcher::Error> for Error {
    fn from(error: kube::runtime::watcher::Error) -> Self {
        use kube::runtime::watcher::Error as Watch;
        match error {
            Watch::InitialListFailed(error)
            | Watch::WatchStartFailed(error)
            | Watch::WatchFailed(error) => error.into(),
            Watch::WatchError(status) => Self::Refused {
                code: status.code,
                message: status.message.clone(),
            },
            Watch::NoResourceVersion => Self::Unreachable(Box::new(error)),
        }
    }
}

fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs())
}

/// The innermost causes say what is the matter: "client error (Connect)" does not.
fn causes(error: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    sexton_core::text::os(&text)
}
