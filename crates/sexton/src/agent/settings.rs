//! How an agent is told what to do: flags, or a file with the same names; a flag wins.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use sexton_core::policy::Span;
use sexton_policyfile::yaml;

use crate::error::Error;

/// Keep this node free of zombies, by the policies given, and tell about it
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Without a policy that says `mode: enforce` nothing is ever done to any process: what would be
is written to the audit log, marked dryRun. See `sexton policy --help`.

Signals: SIGTERM and SIGINT end it within a second; SIGHUP reads the policies again, which
happens by itself when their files change.

Exit status: 0 told to stop, 2 error.

Examples:
  sexton agent                                     look, serve the page, touch nothing
  sexton agent --policy /etc/sexton/policies
  sexton agent --policy p.yaml --interval 2s --listen 127.0.0.1:9713
  sexton agent --config /etc/sexton/agent.yaml     the same from a file
  sexton agent --cluster                           in a pod: see charts/sexton
  sexton agent --listen 0.0.0.0:9713 --page-host node1.example
  curl -s http://127.0.0.1:9713/metrics            then http://127.0.0.1:9713/ in a browser")]
pub struct Given {
    /// YAML file with these settings, by their long names in camelCase; a flag wins
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Policies: files, or directories of *.yaml and *.yml [default: /etc/sexton/policies, where it is]
    #[arg(long, value_name = "PATH")]
    pub policy: Vec<PathBuf>,
    /// Time between two looks while nothing leaks; what leaks is looked at between 1 s and 5 min
    /// [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Duration>,
    /// Where the page, /metrics, /report and /healthz are served; `none` for nowhere
    /// [default: 127.0.0.1:9713]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<Listen>,
    /// Another name under which the page may be asked for, besides localhost, addresses and the
    /// node's own name: other names are refused, since a web page may have made them up
    #[arg(long, value_name = "NAME", value_parser = page_host)]
    pub page_host: Vec<String>,
    /// Show whole command lines on the page and in /report, not just program and script; they may
    /// hold secrets, and all who reach the address see them
    #[arg(long)]
    pub page_arguments: bool,
    /// What was done, as JSON lines [default: /var/log/sexton/audit.jsonl]
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
    /// Lock of the one agent that acts; a file `pause` in it stops all actions
    /// [default: /run/sexton]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Socket of a container runtime (CRI); `none` for no names [default: all that are found]
    #[arg(long, value_name = "SOCKET")]
    pub runtime: Vec<String>,
    /// Rungs beyond terminate that policies may use: the runtime's socket is as good as root
    #[arg(long, value_name = "RUNG")]
    pub enable: Vec<Enabled>,
    /// Take part in the Kubernetes cluster that this pod runs in: follow its ReapPolicies, publish
    /// a ZombieReport, write Events and the node's condition
    #[arg(long)]
    pub cluster: bool,
    /// This node's name in the cluster [default: $NODE_NAME, else the host name]
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// How the log on standard error is written [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// A rung that is off unless it is switched on for the node.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Enabled {
    /// Stop a container through its runtime
    Restart,
    /// Evict a pod through the API server; needs --cluster
    Evict,
}

/// How log lines look.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// For people, and for the journal
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Where to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    None,
    /// There.
    At(SocketAddr),
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        // `:9713`, as Go programs take it, is every address; that ought to be said in full.
        text.parse()
            .map(Self::At)
            .map_err(|_| "not ADDRESS:PORT, like 127.0.0.1:9713 or [::1]:9713".to_owned())
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The file.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Filed {
    policy: Vec<PathBuf>,
    #[serde(deserialize_with = "filed_interval")]
    interval: Option<Duration>,
    listen: Option<Listen>,
    #[serde(deserialize_with = "filed_page_hosts")]
    page_host: Vec<String>,
    page_arguments: bool,
    audit_log: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    runtime: Vec<String>,
    enable: Vec<Enabled>,
    cluster: bool,
    node_name: Option<String>,
    log_format: Option<LogFormat>,
}

/// All settled.
#[derive(Debug)]
pub struct Settings {
    /// Files and directories.
    pub policies: Vec<PathBuf>,
    /// Between two looks at rest.
    pub interval: Duration,
    /// Where to serve.
    pub listen: Listen,
    /// Names under which it may be asked for.
    pub page_hosts: Vec<String>,
    /// Whether whole command lines are shown.
    pub page_arguments: bool,
    /// The audit log.
    pub audit_log: PathBuf,
    /// Lock and pause switch.
    pub state_dir: PathBuf,
    /// Sockets; `None`: find them.
    pub runtimes: Option<Vec<PathBuf>>,
    /// Rungs that were switched on.
    pub enabled: Vec<Enabled>,
    /// Whether it takes part in a cluster.
    pub cluster: bool,
    /// The node's name, where it is not the host's: a pod has a host name of its own.
    pub node_name: Option<String>,
    /// The namespace that the agent's own pod is in.
    pub namespace: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

const POLICIES: &str = "/etc/sexton/policies";
/// Where the audit log is, unless another place is given.
pub const AUDIT_LOG: &str = "/var/log/sexton/audit.jsonl";
/// Where the lock, the pause switch and the latch are, where nothing else is said.
pub const STATE: &str = "/run/sexton";
const NAMESPACE: &str = "POD_NAMESPACE";

impl Settings {
    /// Flags first, the file next, then the defaults.
    ///
    /// # Errors
    /// The file cannot be read, or says what it must not.
    pub fn from(given: Given) -> Result<Self, Error> {
        let filed = match &given.config {
            Some(path) => read(path)?,
            None => Filed::default(),
        };
        let mut policies = either_of(given.policy, filed.policy);
        if policies.is_empty() && Path::new(POLICIES).is_dir() {
            policies.push(POLICIES.into());
        }
        let runtime = either_of(given.runtime, filed.runtime);
        Ok(Self {
            policies,
            interval: given
                .interval
                .or(filed.interval)
                .unwrap_or(Duration::from_secs(10)),
            listen: given
                .listen
                .or(filed.listen)
                .unwrap_or(Listen::At(SocketAddr::from(([127, 0, 0, 1], 9713)))),
            page_hosts: either_of(given.page_host, filed.page_host),
            page_arguments: given.page_arguments || filed.page_arguments,
            audit_log: given
                .audit_log
                .or(filed.audit_log)
                .unwrap_or_else(|| AUDIT_LOG.into()),
            state_dir: given
                .state_dir
                .or(filed.state_dir)
                .unwrap_or_else(|| STATE.into()),
            runtimes: match runtime.as_slice() {
                [] => None,
                [none] if none == "none" => Some(vec![]),
                sockets => Some(sockets.iter().map(PathBuf::from).collect()),
            },
            enabled: either_of(given.enable, filed.enable),
            cluster: given.cluster || filed.cluster,
            node_name: given
                .node_name
                .or(filed.node_name)
                .filter(|name| !name.is_empty())
                .or_else(crate::node::name),
            namespace: std::env::var(NAMESPACE).unwrap_or_else(|_| "sexton".to_owned()),
            log_format: given.log_format.or(filed.log_format).unwrap_or_default(),
        })
    }
}

/// Flags win over the file.
fn either_of<T>(flags: Vec<T>, filed: Vec<T>) -> Vec<T> {
    if flags.is_empty() { filed } else { flags }
}

fn read(path: &Path) -> Result<Filed, Error> {
    let text = yaml::read(path).map_err(|cause| Error::File {
        path: path.to_owned(),
        cause,
    })?;
    serde_saphyr::from_str_with_options(&text, yaml::options(yaml::MOST_NODES)).map_err(|cause| {
        Error::Config {
            path: path.to_owned(),
            cause: cause.to_string(),
        }
    })
}

/// At least 100 ms, for whoever looks more often only heats the node.
fn interval(text: &str) -> Result<Duration, String> {
    let time = Span::from_flag(text)
        .map_err(|error| error.to_string())?
        .get();
    Some(time)
        .filter(|time| (Duration::from_millis(100)..=Duration::from_secs(3_600)).contains(time))
        .ok_or_else(|| "not between 100ms and 1h".to_owned())
}

/// A name as it stands in a URL, without a port: `node1.example`.
fn page_host(name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.is_empty() || name.len() > 253 || !name.bytes().all(fits) {
        return Err("not a name like node1.example: without http://, port and *".to_owned());
    }
    Ok(name.to_owned())
}

fn filed_page_hosts<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let names: Vec<String> = Vec::deserialize(deserializer)?;
    let names = names.iter().map(|name| page_host(name));
    names
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

fn filed_interval<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    interval(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(interval("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(interval("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(interval("1m30s"), Ok(Duration::from_secs(90)));
        for bad in ["", "s", "10h", "0", "-1s", "50ms", "2000m", "1e9"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_of_the_page_is_a_name_alone() {
        assert_eq!(page_host("node1.example"), Ok("node1.example".to_owned()));
        for bad in [
            "",
            "*",
            "http://node1",
            "node1:9713",
            "a b",
            "[::1]",
            "user@node1",
        ] {
            assert!(page_host(bad).is_err(), "{bad}");
        }
        let filed: Result<Filed, _> = serde_saphyr::from_str("pageHost: ['*']\n");
        assert!(filed.is_err());
        let filed: Filed =
            serde_saphyr::from_str("pageHost: [a.b]\npageArguments: true\n").unwrap();
        assert!(filed.page_arguments && filed.page_host == ["a.b"]);
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.yaml");
        std::fs::write(&file, "interval: 3s\nlisten: none\nruntime: [none]\n").unwrap();
        let settings = Settings::from(Given {
            config: Some(file.clone()),
            interval: Some(Duration::from_secs(7)),
            ..Given::default()
        })
        .unwrap();
        assert_eq!(settings.interval, Duration::from_secs(7));
        assert_eq!(settings.listen, Listen::None);
        assert_eq!(settings.runtimes, Some(vec![]));
        assert_eq!(settings.audit_log, Path::new(AUDIT_LOG));

        std::fs::write(&file, "interval: 3s\nlisen: none\n").unwrap();
        let error = Settings::from(Given {
            config: Some(file),
            ..Given::default()
        })
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("agent.yaml") && error.contains("lisen"),
            "{error}"
        );
    }
}
