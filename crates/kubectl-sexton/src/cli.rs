//! The command line: kubectl's own flags, under their own names.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::named::Named;

/// The zombies of a cluster: where they are, whose they are, why they stay, and when PIDs run
/// out; and what ends them.
#[derive(Parser, Debug)]
#[command(name = "kubectl-sexton", bin_name = "kubectl sexton", version)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  kubectl sexton check                         what is set up right, and what to do about the rest
  kubectl sexton status                        the cluster at a glance
  kubectl sexton leaks -A                      every leak, the most urgent first
  kubectl sexton explain shop/crawler-0        why, and the cure
  kubectl sexton reap shop/crawler-0           what would be done; --yes does it
  kubectl sexton audit -A                      who will not end on its stop signal
  kubectl sexton policy                        what the nodes make of the policies
  kubectl sexton page --open                   all of it in a browser")]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: Command,
}

/// How the API server is reached: as kubectl reaches it.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Options of kubectl")]
pub struct Connection {
    /// Path of the kubeconfig file; by default $KUBECONFIG, else ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The cluster of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The user of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// The namespace; by default that of the context
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// User to impersonate: a user, or system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,
    /// Group to impersonate; may be repeated
    #[arg(long, global = true, value_name = "GROUP")]
    pub as_group: Vec<String>,
    /// UID to impersonate
    #[arg(long, global = true, value_name = "UID")]
    pub as_uid: Option<String>,
    /// How long to wait for one answer of the server, as in 1s, 2m, 3h; 0 for ever
    #[arg(long, global = true, value_name = "TIME", default_value = "0", value_parser = timeout)]
    pub request_timeout: Duration,
    /// The namespace that the agents run in
    #[arg(
        long,
        global = true,
        value_name = "NAMESPACE",
        default_value = "sexton",
        env = "SEXTON_NAMESPACE"
    )]
    pub agent_namespace: String,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Check(Check),
    Status(Status),
    Nodes(Nodes),
    Leaks(Leaks),
    Explain(Explain),
    Limits(Limits),
    Audit(Audit),
    Reap(Reap),
    Policy(Policy),
    Page(Page),
    Completion(Completion),
    Man(Man),
    Version(Version),
}

/// How things are printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For programs
    Json,
    /// For programs and people
    Yaml,
    /// All columns
    Wide,
    /// The names alone, one a line
    Name,
}

/// The same without names.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

/// How a table is printed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Format {
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Output>,
    /// Print no headers
    #[arg(long)]
    pub no_headers: bool,
}

/// Which pods.
#[derive(Args, Clone, Debug, Default)]
pub struct Pods {
    /// Of all namespaces, and of the nodes themselves
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only of pods with these labels, as in app=crawler,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
}

/// Check what of Sexton works in this cluster, and say what to do about the rest
#[derive(Args, Debug)]
#[command(after_help = "\
It changes nothing. It asks the API server with your rights, and the addresses of the alerts'
runbooks, from here. What it may not ask is a warning. For one node:
kubectl exec AGENT -- /sexton doctor.

Exit status: 0 all is ok, 1 a warning, or an error, 2 a check failed.

Examples:
  kubectl sexton check
  kubectl sexton check --agent-namespace monitoring
  kubectl sexton check -o json | jq '.checks[] | select(.status != \"ok\")'")]
pub struct Check {
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Document>,
}

/// Show the cluster at a glance
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sexton status
  kubectl sexton status -o json | jq .zombies")]
pub struct Status {
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Document>,
}

/// Show the nodes, the most urgent first
#[derive(Args, Debug)]
#[command(after_help = "\
STATUS is Ready; NotReady where the agent says that it cannot do its work; AgentDown where the
report may be old, since the agent's pod is not running; NoReport where there is none.
FULL IN is the time within which the first limit on the node is reached.

Examples:
  kubectl sexton nodes
  kubectl sexton nodes -l node.kubernetes.io/instance-type=m5.large -o wide
  kubectl sexton nodes -o json | jq '.items[] | select(.state != \"Ready\").node'")]
pub struct Nodes {
    /// Only these nodes
    pub names: Vec<String>,
    /// Only nodes with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    #[command(flatten)]
    pub format: Format,
}

/// Show the leaks, the most urgent first: pods whose programs do not wait for their children
#[derive(Args, Debug)]
#[command(after_help = "\
Counts are rounded down to 1, 2, 5, 10, 20, 50…; exact ones are with `kubectl sexton explain`.
FULL IN is the time within which the leak reaches its first limit.

Examples:
  kubectl sexton leaks -A
  kubectl sexton leaks -n shop -l app=crawler -o wide
  kubectl sexton leaks -A -o json | jq '.items[] | {node, pod, zombies, cause}'")]
pub struct Leaks {
    #[command(flatten)]
    pub pods: Pods,
    #[command(flatten)]
    pub format: Format,
}

/// Say why the zombies of POD stay, what to do now, and the cure
#[derive(Args, Debug)]
#[command(after_help = "\
The agent of the pod's node looks, through pods/exec. Where that is not allowed, what its last
report says is told, with what is known of the cause.

Exit status: 0 explained, 1 there are no zombies, or an error.

Examples:
  kubectl sexton explain crawler-5d9c7b8d6f-x2k4p -n shop
  kubectl sexton explain shop/crawler-5d9c7b8d6f-x2k4p -c app
  kubectl sexton explain crawler-5d9c7b8d6f-x2k4p -- --sample 30     a surer forecast")]
pub struct Explain {
    /// POD or NAMESPACE/POD
    pub pod: Named,
    /// Only this container
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Document>,
    /// Further arguments of `sexton explain`
    #[arg(last = true, value_name = "ARGUMENT")]
    pub rest: Vec<String>,
}

/// Show every limit on which fork can fail in POD, what is left, and who fills it
#[derive(Args, Debug)]
#[command(after_help = "\
The agent of the pod's node looks, through pods/exec.

Exit status: 0 there is room, 1 a limit is reached, or an error.

Examples:
  kubectl sexton limits crawler-5d9c7b8d6f-x2k4p -n shop
  kubectl sexton limits shop/crawler-5d9c7b8d6f-x2k4p -c app -o json
  kubectl sexton limits shop/crawler-5d9c7b8d6f-x2k4p -- --user 1000     as that user")]
pub struct Limits {
    /// POD or NAMESPACE/POD
    pub pod: Named,
    /// Which container, where the pod has several
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Document>,
    /// Further arguments of `sexton limits`
    #[arg(last = true, value_name = "ARGUMENT")]
    pub rest: Vec<String>,
}

/// Show the containers that will not end on their stop signal, but sit out the grace period
#[derive(Args, Debug)]
#[command(after_help = "\
With POD: the facts and the cure, which the agent of its node gives, through pods/exec.

Exit status with POD: that of `sexton audit` on the node.

Examples:
  kubectl sexton audit -A
  kubectl sexton audit -n shop -l app=web
  kubectl sexton audit --probes -A                exec probes and preStop hooks, by workload
  kubectl sexton audit web-6c9d8b7f5-4 -c web     why, and what to change")]
pub struct Audit {
    /// POD or NAMESPACE/POD; without it what the reports say of all
    pub pod: Option<Named>,
    /// Only this container
    #[arg(short, long, value_name = "NAME", requires = "pod")]
    pub container: Option<String>,
    /// Show instead the exec probes and preStop hooks that do not fit into their time, from the
    /// specs of the pods (takes the right to list pods)
    #[arg(long, conflicts_with = "pod")]
    pub probes: bool,
    #[command(flatten)]
    pub pods: Pods,
    #[command(flatten)]
    pub format: Format,
}

/// Take the zombies of POD away while its program goes on
#[derive(Args, Debug)]
#[command(after_help = "\
Without --yes nothing is done: what would be is told. The work is that of `sexton reap` on the
pod's node, run in the agent's pod through pods/exec: whoever may not do that may not reap.
To interrupt this does not interrupt what has begun on the node; it comes to its end there.

Exit status: that of `sexton reap`: 0 all taken (or, without --yes, all would be), 1 some are
left, or an error here, 2 error or refused.

Examples:
  kubectl sexton reap crawler-5d9c7b8d6f-x2k4p -n shop           what would be done
  kubectl sexton reap crawler-5d9c7b8d6f-x2k4p -n shop --yes
  kubectl sexton reap shop/crawler-5d9c7b8d6f-x2k4p -c app --yes -- --settle 0")]
pub struct Reap {
    /// POD or NAMESPACE/POD
    pub pod: Named,
    /// Only this container
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Do it
    #[arg(long)]
    pub yes: bool,
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Json>,
    /// Further arguments of `sexton reap`
    #[arg(last = true, value_name = "ARGUMENT")]
    pub rest: Vec<String>,
}

/// Show what the nodes make of the policies; check policies; say which would cover a pod
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
FOLLOWED is how many of the nodes that report follow the newest generation; BEHIND those that
follow an older one or have not said; REFUSED those that find it wrong or clash with another;
LIMITED those that follow it as far as they can, which is not all the way.

Examples:
  kubectl sexton policy
  kubectl sexton policy check policies/
  kubectl sexton policy explain crawler-0 -n shop --policy new.yaml")]
pub struct Policy {
    #[command(subcommand)]
    pub command: Option<PolicyCommand>,
    #[command(flatten)]
    pub format: Format,
}

#[derive(Subcommand, Debug)]
pub enum PolicyCommand {
    Check(PolicyCheck),
    Explain(PolicyExplain),
}

/// Say what is wrong with policies in files, with file, line and field
#[derive(Args, Debug)]
#[command(after_help = "\
It asks no server. All files that are named are checked together: two of one name, or with the
same selector, are wrong too.

Exit status: 0 nothing is wrong, 1 something is.

Examples:
  kubectl sexton policy check policies/
  kubectl sexton policy check ci.yaml default.yaml -o json")]
pub struct PolicyCheck {
    /// Files, or directories with *.yaml and *.yml
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Document>,
}

/// Say which policy covers POD, and why that one
#[derive(Args, Debug)]
#[command(after_help = "\
Without --policy it is about the policies of the cluster, and what the pod's node says of them;
with it about those files: what would be if they were applied.

Examples:
  kubectl sexton policy explain shop/crawler-0
  kubectl sexton policy explain crawler-0 -c app --policy policies/")]
pub struct PolicyExplain {
    /// POD or NAMESPACE/POD
    pub pod: Named,
    /// Only this container
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// A file, or a directory with *.yaml and *.yml; may be given several times
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum)]
    pub output: Option<Document>,
}

/// Serve the page of the cluster on loopback
#[derive(Args, Debug)]
#[command(after_help = "\
The page shows the cluster with your rights, to whoever can open it: it listens on 127.0.0.1
alone. It is read anew when somebody looks at it.

Examples:
  kubectl sexton page --open
  kubectl sexton page --port 8090
  kubectl sexton page --save cluster.html     one file, to be mailed")]
pub struct Page {
    /// Port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Seconds after which the page refreshes itself
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..))]
    pub refresh: u32,
    /// Open it in a browser
    #[arg(long)]
    pub open: bool,
    /// Write it to a file, and serve nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["port", "open"])]
    pub save: Option<PathBuf>,
}

/// Print completions for a shell
#[derive(Args, Debug)]
#[command(after_help = "\
That is for the binary under its own name. For `kubectl sexton`, kubectl's own completion asks an
executable of the name kubectl_complete-sexton; this binary is one:
  ln -s kubectl-sexton \"$(dirname \"$(command -v kubectl-sexton)\")/kubectl_complete-sexton\"

Examples:
  kubectl sexton completion bash > /etc/bash_completion.d/kubectl-sexton
  kubectl sexton completion zsh > \"${fpath[1]}/_kubectl-sexton\"")]
pub struct Completion {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Write the manual pages
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sexton man ~/.local/share/man/man1
  kubectl sexton man | man -l -")]
pub struct Man {
    /// Directory for all pages; without it the main page goes to standard output
    #[arg(value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
}

/// Of what only a program can be told more.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json {
    /// For programs
    Json,
}

/// Print the version of this plugin
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sexton version")]
pub struct Version {}

/// A time as kubectl takes it: a number of seconds, or `1s`, `2m`, `3h`.
fn timeout(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3_600.0),
        _ => (text, 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .ok_or_else(|| "give it a time, as in 1s, 2m, 3h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        let cli = Cli::command();
        let nested = cli.get_subcommands().flat_map(|c| c.get_subcommands());
        for command in cli.get_subcommands().chain(nested) {
            let help = command.get_after_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|help| help.contains("Examples:")),
                "{}",
                command.get_name()
            );
        }
    }

    #[test]
    fn times_as_kubectl_takes_them() {
        assert_eq!(timeout("0"), Ok(Duration::ZERO));
        assert_eq!(timeout("30"), Ok(Duration::from_secs(30)));
        assert_eq!(timeout("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "soon", "1d"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }
}
