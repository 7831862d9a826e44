//! The command line: what may be asked, with examples.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sexton_core::policy::Span;

/// Lays zombie processes to rest: finds them, says whose they are and why they stay, tells
/// when PIDs run out, and reaps them without restarting the program that leaks them.
#[derive(Parser, Debug)]
#[command(name = "sexton", version, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  sexton scan                  what is there, worst first
  sexton explain 12345         why, and the cure
  sexton limits --pid 12345    what fork will fail on, and how much is left
  sexton reap 12345            what would be done; --yes does it
  sexton audit                 which containers will not end on their signal
  sexton demo                  see all of it on a container made for the purpose

TARGET, the same for every command:
  12345, pid/12345             a holder, or a zombie: that one of its holder
  container/3f2a9c             an id or the beginning of one, or a name
  pod/shop/checkout            a pod, or the only pod of that workload; the namespace may be left out
  checkout                     a container, a pod or a program of that name
A name that fits several things is an error with a list of them, and nothing is done; `scan`
and the options --pid, --container and --pod show all that fit.")]
pub struct Cli {
    #[command(flatten)]
    pub roots: crate::node::Roots,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Scan(Scan),
    Limits(Limits),
    Explain(Explain),
    Reap(Reap),
    Audit(Audit),
    Agent(crate::agent::Given),
    Resume(Resume),
    Demo(Demo),
    Doctor(Doctor),
    Policy(Policy),
    Npd(Npd),
    Schema(Schema),
    Crds(Crds),
    Completions(Completions),
    Man(Man),
}

/// Find the zombies of this node, grouped by the process that ought to wait for them
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 no zombies, 1 zombies found, 2 error, also where TARGET fits nothing.

With TARGET: the leaks of all that it fits, for instance of each pod of a workload. Zombies that
a container's limit counts and a process outside of it holds are shown with it.

A quiet look compares counters by container and opens no process; only where they do not add
up is more of /proc read. Zombies beyond 1,024 of one holder are counted exactly and sampled
for their names; --full reads each.

Examples:
  sexton scan
  sexton scan --watch                      with rates and the time left
  sexton scan pod/shop/checkout -o wide    all pods of that workload
  sexton scan --top 10 --sort limit        the ten that reach a limit first
  sexton scan --min 100 -o name | xargs -n1 sexton explain
  sexton scan -o json | jq '.leaks[] | {pid: .holder.pid, zombies}'")]
pub struct Scan {
    /// A pid, container/ID, pod/[NAMESPACE/]NAME, or a name; without it all of the node
    pub target: Option<String>,
    /// Only the leak of this holder, or the one this zombie belongs to
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Only this container: an id or the beginning of one, or a name
    #[arg(long, value_name = "ID")]
    pub container: Option<String>,
    /// Only this pod: NAME, NAMESPACE/NAME or uid; NAME may be its workload's
    #[arg(long, value_name = "POD")]
    pub pod: Option<String>,
    /// Only leaks of at least this many zombies
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min: u64,
    /// Only the first N leaks
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Which leak comes first
    #[arg(long, value_enum, default_value_t, value_name = "BY")]
    pub sort: SortLeaks,
    /// Read every process, whatever the counters say
    #[arg(long)]
    pub full: bool,
    /// Look again and again, and show rates and the time left
    #[arg(short, long)]
    pub watch: bool,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span, requires = "watch")]
    pub interval: Duration,
    /// Stop after so many looks
    #[arg(long, value_name = "N", requires = "watch")]
    pub count: Option<u64>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: ScanOutput,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortLeaks {
    /// The most zombies
    #[default]
    Zombies,
    /// The oldest zombie
    Oldest,
    /// The least room below a limit
    Limit,
    /// By the name of the container
    Container,
    /// By the name of the program
    Command,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScanOutput {
    /// As wide as the terminal
    #[default]
    Table,
    /// All columns, nothing cut
    Wide,
    /// The report (see `sexton schema`)
    Json,
    /// The pids of the holders, one a line
    Name,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Show every limit on which fork, clone or pthread_create can fail with EAGAIN
#[derive(Args, Debug)]
#[command(after_help = "\
Without TARGET: the limits of the whole machine. Of a container: as they bind its first process.
With --all: where fork fails on this node, or soon will, without knowing where to look; zombies or
not. LEFT is how many more tasks fit; memory and mappings stop threads alone (pthread_create).

Exit status: 0 there is room, 1 a limit is reached, 2 error.

Examples:
  sexton limits
  sexton limits --all
  sexton limits 12345
  sexton limits container/3f2a9c
  sexton limits pod/shop/checkout
  sexton limits sshd --user 1000           as root's program becomes that user
  sexton limits 12345 -o json | jq '.limits[] | select(.first)'")]
pub struct Limits {
    /// A pid, container/ID, pod/[NAMESPACE/]NAME, or a name
    #[arg(group = "limits_of")]
    pub target: Option<String>,
    /// As they bind this process
    #[arg(long, value_name = "PID", group = "limits_of", conflicts_with_all = ["target", "container", "pod"])]
    pub pid: Option<u32>,
    /// As they bind the first process of this container
    #[arg(long, value_name = "ID", group = "limits_of", conflicts_with_all = ["target", "pod"])]
    pub container: Option<String>,
    /// As they bind the first process of this pod's only container
    #[arg(
        long,
        value_name = "POD",
        group = "limits_of",
        conflicts_with = "target"
    )]
    pub pod: Option<String>,
    /// With RLIMIT_NPROC as it will bind the process once it has become this user (setuid)
    #[arg(long, value_name = "UID", requires = "limits_of")]
    pub user: Option<u32>,
    /// Every limit of the node, of a cgroup or of a user of which half is used, fullest first
    #[arg(long, conflicts_with = "limits_of")]
    pub all: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Answer node-problem-detector, as one of its custom plugins
#[derive(Args, Debug)]
#[command(after_help = "\
One line is printed, short enough to be a condition's message. To be pasted into the detector's
configuration: deploy/node-problem-detector/sexton.json. In the detector's container the node's
/proc and cgroups are where its pod has mounted them; say so by --path-procfs and
--path-cgroupfs.

Exit status: 0 no problem, 1 a problem, 2 unknown.

Examples:
  sexton npd
  sexton npd --min 5000 --used 90
  sexton npd --path-procfs /host/proc --path-cgroupfs /host/sys/fs/cgroup")]
pub struct Npd {
    /// A problem is so many zombies of one holder
    #[arg(long, value_name = "N", default_value_t = sexton_core::report::MANY, value_parser = clap::value_parser!(u64).range(1..))]
    pub min: u64,
    /// A problem is a limit of which so many percent are used, while there are zombies
    #[arg(long, value_name = "PERCENT", default_value_t = sexton_core::report::NEAR_PERCENT, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub used: u8,
    /// Bytes that the detector keeps, its max_output_length
    #[arg(long, value_name = "BYTES", default_value_t = 80)]
    pub max_output: usize,
}

/// Say why the zombies of TARGET stay, or why a container cannot end; what to do now, and the cure
#[derive(Args, Debug)]
#[command(after_help = "\
A container that cannot end is explained, too: what its PID 1 waits for, what frees each, and what
does not help. With --yes the part that is safe is done: zombies are taken from parents outside of
the container, by the same rules as `sexton reap`.

--trace watches the program for a while, and says which places in its code started children and
what became of them. The program is not stopped and not changed. It is done for the holder with
the most zombies in TARGET, and refused for processes that reap does not touch either.
docs/origins.md says what is known of each language.

Exit status: 0 explained, 1 TARGET holds no zombies and ends as it should, 2 error.

Examples:
  sexton explain 12345
  sexton explain pod/shop/checkout
  sexton explain 3f2a9c --sample 30      a surer forecast
  sexton explain 12345 --sample 0        at once, without a forecast by sampling
  sexton explain container/3f2a9c --yes  also do what is safe of what frees it
  sexton explain 12345 --trace           which lines of the program start the zombies
  sexton explain 12345 --trace 5m        the same of a program that starts few children")]
pub struct Explain {
    /// A pid, container/ID, pod/[NAMESPACE/]NAME, or a name
    pub target: String,
    /// Seconds to watch the leak for the forecast
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    pub sample: Duration,
    /// For a container that cannot end: take the zombies that parents outside hold
    #[arg(long)]
    pub yes: bool,
    /// With --yes: leave a zombie that ended less than this many seconds ago
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    pub settle: Duration,
    /// Watch for so long where the program starts children
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "30s", value_parser = span)]
    pub trace: Option<Duration>,
    /// With --yes, --trace: also for a process of the host, outside any container
    #[arg(long)]
    pub allow_host: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Take the zombies of TARGET away while the program that holds them goes on
#[derive(Args, Debug)]
#[command(after_help = "\
Without --yes nothing is done: the plan is printed. First a nudge (SIGCHLD) where the holder
has a handler, then the holder itself is made to wait for exactly these zombies: one of its
sleeping threads is borrowed for under a millisecond at a time. It can be interrupted or
killed at any instant without harm to the holder.

TARGET may be a holder (all its zombies), a zombie (that one), a container or a pod (those that
processes in it hold). What fits several things is refused, and nothing is done.

--autoreap is for a program that never waits, such as the `sleep infinity` that keeps a
container alive: from then on the kernel waits for its children (SA_NOCLDWAIT), and none of
them becomes a zombie, until the program ends or executes another. --autoreap=off undoes it.

Exit status: 0 all taken (or, without --yes, all would be), 1 some are left, 2 error or refused,
or a holder ended while it was made to wait: then nothing more is touched.

Examples:
  sexton reap 12345                 what would be done
  sexton reap 12345 --yes
  sexton reap 12345 --yes --settle 0
  sexton reap 12345 --yes --autoreap     and no zombies of its future children
  sexton reap pod/shop/checkout --yes -o json")]
pub struct Reap {
    /// A pid, container/ID, pod/[NAMESPACE/]NAME, or a name
    pub target: String,
    /// Do it
    #[arg(long)]
    pub yes: bool,
    /// Leave zombies that may have ended less than this many seconds ago: their parent may yet wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    pub settle: Duration,
    /// Do not send SIGCHLD first
    #[arg(long)]
    pub no_nudge: bool,
    /// Also let the kernel wait for the holder's future children; off: not any more
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "on", value_name = "WHEN")]
    pub autoreap: Option<Autoreap>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    #[command(flatten)]
    pub allow: Allow,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autoreap {
    /// The kernel waits for future children
    On,
    /// The program waits for them itself, as usual
    Off,
}

/// Overrides of refusals, one by one.
#[derive(Args, Debug)]
#[command(next_help_heading = "Overrides")]
pub struct Allow {
    /// Reap for a process of the host, outside any container
    #[arg(long)]
    pub allow_host: bool,
    /// Reap for a holder with seccomp filters that cannot be asked and may kill it for wait4; what
    /// a filter says when it is asked holds all the same
    #[arg(long)]
    pub ignore_seccomp: bool,
    /// Autoreap for a program that has waited for children, whose later waits will fail
    #[arg(long, requires = "autoreap")]
    pub though_it_waits: bool,
}

/// Exec probes, from a JSON list.
#[derive(Clone, Debug, Default)]
pub struct Probes(pub Vec<sexton_core::audit::Probe>);

impl std::str::FromStr for Probes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map(Self).map_err(|error| {
            format!(
                "{error}; give a list such as \
                 [{{\"name\": \"livenessProbe\", \"timeoutSeconds\": 5, \"command\": [\"/probe.sh\"]}}]"
            )
        })
    }
}

/// Find the containers that will not end on their stop signal, but sit out the grace period
#[derive(Args, Debug)]
#[command(after_help = "\
For each container: the signal that its runtime will really send, whether its main process
acts on it, why not, and the cure. With TARGET, all of that for one container.

--prove sends the signal and looks what happens: it STOPS the container. Without --yes it only
says what it would do. It sends no SIGKILL unless --kill is given.

The containers of one workload that are judged alike are one row; -o wide and -o json tell each.
`ends, but 2 killed` is a container that ends, while 2 processes in it are killed that never
heard of the signal: their work is lost.

Exit status: 0 every container shown ends on its signal and loses no work, 1 some will be killed,
lose work, or it cannot be told, 2 error. With --prove: 0 it ended on the signal, or would be sent it; 1 it did not end;
2 error or refused.

Examples:
  sexton audit
  sexton audit --pod shop/checkout -o wide
  sexton audit 3f2a9c                          the reasons and the cure
  sexton audit --verdict killed -o name | xargs -n1 sexton audit
  sexton audit 3f2a9c --probes '[{\"name\": \"livenessProbe\", \"timeoutSeconds\": 5, \"command\": [\"/probe.sh\"]}]'
  sexton audit --prove container/3f2a9c --yes  stop it, and see
  sexton audit -o json | jq '.exitSignals[] | {verdict, summary}'")]
pub struct Audit {
    /// A pid, container/ID, pod/[NAMESPACE/]NAME, or a name; without it all containers
    pub target: Option<String>,
    /// Only this container: an id or the beginning of one, or a name
    #[arg(long, value_name = "ID")]
    pub container: Option<String>,
    /// Only this pod: NAME, NAMESPACE/NAME or uid; NAME may be its workload's
    #[arg(long, value_name = "POD")]
    pub pod: Option<String>,
    /// Only containers of this verdict; may be repeated
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub verdict: Vec<AuditVerdict>,
    /// Judge these exec probes, too, as a pod's spec has them; `kubectl sexton audit` hands them over
    #[arg(
        long,
        value_name = "JSON",
        requires = "target",
        conflicts_with = "prove"
    )]
    pub probes: Option<Probes>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: AuditOutput,
    #[command(flatten)]
    pub prove: Prove,
}

/// Trying it out.
#[derive(Args, Debug)]
#[command(next_help_heading = "Trying it out")]
pub struct Prove {
    /// Send TARGET its stop signal and see whether it ends
    #[arg(long, requires = "target", conflicts_with_all = ["container", "pod", "verdict"])]
    pub prove: bool,
    /// Do it
    #[arg(long, requires = "prove")]
    pub yes: bool,
    /// How long to wait for the end; by default the container's grace period, or 10
    #[arg(long, value_name = "TIME", value_parser = span, requires = "prove")]
    pub grace: Option<Duration>,
    /// Send SIGKILL if it has not ended by then
    #[arg(long, requires = "prove")]
    pub kill: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Sits out its grace period and gets SIGKILL
    Killed,
    /// Ends, but processes in it are killed that never heard of the signal
    Unheard,
    /// Cannot be told from outside
    Unknown,
    /// Ends on its signal
    Ends,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditOutput {
    /// At most 100 columns; with TARGET, the reasons and the cure
    #[default]
    Table,
    /// All columns, nothing cut
    Wide,
    /// The report (see `sexton schema`); with --prove, what was tried and what came of it
    Json,
    /// The ids of the containers, one a line
    Name,
}

/// Allow the agent of this node to act again after a program died of a step
#[derive(Args, Debug)]
#[command(after_help = "\
If a program dies of what the agent does to it, the agent stops: it looks, and does nothing to any
process of this node, also after a restart. Find out why first (docs/runbooks/SextonHalted.md);
the reason is printed, and is in the audit log.

Exit status: 0 the node may act again, 1 it was not halted, 2 error.

Examples:
  sexton resume
  sexton resume --state-dir /run/sexton -o json
  kubectl -n sexton exec AGENT -- /sexton resume")]
pub struct Resume {
    /// Where the agent keeps its state
    #[arg(long, value_name = "DIR", default_value = crate::agent::STATE)]
    pub state_dir: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Check what of Sexton works on this node, and say what to do about the rest
#[derive(Args, Debug)]
#[command(after_help = "\
A line a check: kernel, cgroups, /proc, PID namespace, each capability, Yama, runtimes, audit log,
near limits; and last a real reap, of three children of a process that it starts for it. Nothing
else is touched. Run it as the agent runs: in its pod, or as its unit's user.

Exit status: 0 everything works, 1 it works with the limits that are shown, 2 something that Sexton
needs does not work, or error.

Examples:
  sexton doctor
  sexton doctor -o json | jq '.checks[] | select(.status != \"ok\")'
  kubectl -n sexton exec AGENT -- /sexton doctor")]
pub struct Doctor {
    /// Where the agent would write what it did
    #[arg(long, value_name = "FILE", default_value = crate::agent::AUDIT_LOG)]
    pub audit_log: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Show all of it on a container made for the purpose, in under a minute
#[derive(Args, Debug)]
#[command(after_help = "\
Makes namespaces of its own (and, as root, a pids cgroup), starts a program in them that
starts children and never waits, lets it run into its limit, and then scans, explains,
forecasts and reaps. Needs root, or user namespaces. Leaves nothing behind.

Examples:
  sexton demo
  sexton demo --fast     without the pauses for reading")]
pub struct Demo {
    /// No pauses for reading
    #[arg(long)]
    pub fast: bool,
}

/// Check policies, and ask which of them would do what
#[derive(Args, Debug)]
#[command(after_help = "\
A policy says whose zombies may be dealt with, how far, how often and when; docs/policy.md has
all fields.

Examples:
  sexton policy check /etc/sexton/policies
  sexton policy explain pod/shop/checkout --policy /etc/sexton/policies
  sexton policy schema")]
pub struct Policy {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Subcommand, Debug)]
pub enum PolicyCommand {
    Check(PolicyCheck),
    Explain(PolicyExplain),
    Schema(PolicySchema),
}

/// Say what is wrong with policies, with file, line and field
#[derive(Args, Debug)]
#[command(after_help = "\
Files may hold several documents. All that are named are checked together, as the agent reads
them: two of one name, or with the same selector, are wrong too.

Exit status: 0 nothing is wrong, 1 something is, 2 a file cannot be read.

Examples:
  sexton policy check policies/
  sexton policy check ci.yaml default.yaml
  sexton policy check policies/ -o json | jq -r '.problems[] | \"\\(.file):\\(.line)\"'")]
pub struct PolicyCheck {
    /// Files, or directories with *.yaml and *.yml; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Say which policy covers TARGET, why that one, and what it would do now
#[derive(Args, Debug)]
#[command(after_help = "\
Nothing is done. The decision is the one that the agent would take if it had done nothing
before.

Exit status: 0 explained, 1 TARGET holds no zombies, 2 error.

Examples:
  sexton policy explain 12345 --policy policies/
  sexton policy explain pod/shop/checkout --policy ci.yaml --policy default.yaml
  sexton policy explain 12345 --policy policies/ -o json | jq '.leaks[].decision'")]
pub struct PolicyExplain {
    /// A pid, container/ID, pod/[NAMESPACE/]NAME, or a name
    pub target: String,
    /// A file, or a directory with *.yaml and *.yml; may be given several times
    #[arg(long, required = true, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Print the JSON Schema of a policy
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sexton policy schema > reappolicy.schema.json")]
pub struct PolicySchema {}

/// Print the JSON Schema of what -o json prints
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sexton schema                      of scan, explain and audit: the report
  sexton schema limits
  sexton schema reap > reap.schema.json
  sexton schema policy               of the policies that the agent reads")]
pub struct Schema {
    /// Whose output
    #[arg(value_enum, default_value_t)]
    pub document: Document,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Document {
    /// `scan`, `explain` and `audit`
    #[default]
    Report,
    /// `limits`
    Limits,
    /// `reap`
    Reap,
    /// A policy, as it is written in YAML
    Policy,
    /// `policy check`
    PolicyCheck,
    /// `policy explain`
    PolicyExplain,
    /// `audit --prove`
    Proof,
    /// `resume`
    Resume,
    /// `doctor`, and `kubectl sexton check`
    Doctor,
}

/// Print the custom resources of a cluster
#[derive(Args, Debug)]
#[command(after_help = "\
ReapPolicy is the policy that the agent follows; the API server refuses what `sexton policy check`
refuses. ZombieReport is what each node's agent says of its node. The Helm chart has both.

Examples:
  sexton crds | kubectl apply --server-side -f -
  kubectl get zombiereports
  kubectl explain reappolicy.spec")]
pub struct Crds {
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Manifest,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manifest {
    /// One document each
    #[default]
    Yaml,
    /// One list
    Json,
}

/// Print completions for a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sexton completions bash > /etc/bash_completion.d/sexton
  sexton completions zsh > \"${fpath[1]}/_sexton\"
  sexton completions fish > ~/.config/fish/completions/sexton.fish")]
pub struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Write the manual pages
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sexton man /usr/local/share/man/man1
  sexton man | man -l -")]
pub struct Man {
    /// Directory for all pages; without it the main page goes to standard output
    pub directory: Option<PathBuf>,
}

/// A span of time, or a plain number of seconds.
fn span(text: &str) -> Result<Duration, String> {
    let span = Span::from_flag(text)
        .map_err(|error| error.to_string())?
        .get();
    Some(span)
        .filter(|span| *span <= A_YEAR)
        .ok_or_else(|| "longer than a year".to_owned())
}

/// Longer than anybody waits, and short enough to be added to any moment.
const A_YEAR: Duration = Duration::from_secs(366 * 86_400);

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
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.contains("Examples:"), "{}", command.get_name());
        }
    }

    #[test]
    fn spans_of_time_are_checked() {
        assert_eq!(span("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(span("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(span("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert!(span("-1").is_err());
        assert!(span("soon").is_err());
        assert!(span("1e300").is_err());
        assert!(span("1e18").is_err());
    }
}
