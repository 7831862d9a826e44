//! Programs that are known by name: another program bears it and leaks as they are reported to.

use crate::scenario::Category::{KnownProgram, OwnChildren};
use crate::scenario::Scenario;
use crate::situation::{Situation, copy, parent};

/// The holder's name, the zombies', what else is on its command line, the right cause.
type Case = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// Each is PID 1 and is given daemons of that name.
const GIVEN: &[Case] = &[
    ("argocd", "git", &[], &["argocd-git"]),
    ("dockerd", "containerd-shim", &[], &["nested-runtime"]),
    ("redis-server", "redis-cli", &[], &["probe-redis"]),
    ("etcd", "etcdctl", &[], &["probe-etcd"]),
    ("crawler", "chrome", &[], &["browser-orphans"]),
    ("agent", "chrome_crashpad", &[], &["browser-orphans"]),
    ("openclaw-gateway", "bash", &[], &["agent-openclaw"]),
    ("claude", "git", &[], &["agent-claude-code"]),
    ("codex-acp", "grep", &[], &["agent-codex"]),
    ("osb-agent", "cargo", &[], &["agent-sandbox"]),
    ("gateway", "npm exec @scope", &[], &["mcp-servers"]),
    ("gateway", "mcp-server-git", &[], &["mcp-servers"]),
    ("gateway", "uvx", &[], &["mcp-servers"]),
    (
        "node-problem-detector",
        "network_problem",
        &[],
        &["npd-plugin"],
    ),
    ("cadvisor", "timeout", &[], &["busybox-timeout"]),
    ("launcher", "git", &[], &["pipecd-git"]),
    ("pilot-agent", "rprobe.sh", &[], &["istio-probe"]),
    ("keydb-server", "ping_liveness_l", &[], &["probe-keydb"]),
    (
        "java",
        "nc",
        &["-Dzookeeper.4lw.commands.whitelist=*"],
        &["probe-zookeeper"],
    ),
    ("java", "sh", &["-jar", "agent.jar"], &["jenkins-agent"]),
    ("gitlab-runner", "gunicorn", &[], &["gitlab-runner"]),
    ("fail2ban-ui", "ssh", &[], &["ssh-control-master"]),
    ("go-crond", "backup.sh", &[], &["cron-jobs"]),
    (
        "gitjob",
        "git-remote-http",
        &[],
        &["git-orphans", "pid1-does-not-adopt"],
    ),
];

/// The same programs, which start those themselves: the name alone proves nothing.
const OWN: &[(&str, &str)] = &[
    ("openclaw-gateway", "bash"),
    ("claude", "git"),
    ("codex", "rg"),
    ("gitjob", "git"),
    ("pilot-agent", "envoy"),
    ("keydb-server", "timeout"),
    ("go-crond", "backup.sh"),
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    let given = GIVEN.iter().map(|&(holder, zombies, more, first)| {
        Scenario::leak(
            KnownProgram,
            format!("{holder}, given {zombies}"),
            first,
            &[
                "pid1-does-not-adopt",
                "double-fork-daemon",
                "probe-killed",
                "git-orphans",
            ],
            move |dir| {
                let program = copy(&parent()?, dir.path(), holder);
                let mut argv = vec![program.as_str(), "daemons", zombies, "4"];
                argv.extend(more);
                Situation::pid1(&argv)
            },
        )
    });
    let own = OWN.iter().map(|&(holder, zombies)| {
        Scenario::leak(
            OwnChildren,
            format!("{holder} that starts {zombies} itself"),
            &["native-fork-without-wait"],
            &["parent-never-waits"],
            move |dir| {
                let program = copy(&parent()?, dir.path(), holder);
                Situation::pid1(&[&program, "own", zombies, "4"])
            },
        )
    });
    given.chain(own).collect()
}
