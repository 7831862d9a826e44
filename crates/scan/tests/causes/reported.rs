//! Known programs whose zombies were reported in public: another program bears the name, and
//! is given orphans as they are.

use std::path::Path;

use sexton_core::Confidence::{High, Medium};
use sexton_lab::{Skip, require};

use crate::situation::{Situation, copy, directory, parent, python, script, which};

/// PID 1 of this name is given daemons of that name.
fn given(holder: &str, zombies: &str) -> Result<Situation, Skip> {
    as_first(holder, &["daemons", zombies, "4"])
}

fn as_first(holder: &str, arguments: &[&str]) -> Result<Situation, Skip> {
    let dir = directory();
    let program = copy(&parent()?, dir.path(), holder);
    let mut argv = vec![program.as_str()];
    argv.extend(arguments);
    Situation::pid1(&argv)
}

/// It is known by its name when it is given orphans, and not accused of them when they are its
/// own children.
#[track_caller]
fn known(id: &str, holder: &str, zombies: &str) {
    let Some(situation) = require(given(holder, zombies)) else {
        return;
    };
    situation.diagnose(4).is(id, High);
    let Some(situation) = require(as_first(holder, &["own", zombies, "4"])) else {
        return;
    };
    situation.diagnose(4).is_not(id);
}

#[test]
fn agent_openclaw() {
    known("agent-openclaw", "openclaw-gateway", "bash");
    // The package's own program under Node.js.
    let Some(node) = require(which("node")) else {
        return;
    };
    let dir = directory();
    let program = script(
        dir.path(),
        "openclaw",
        "const {spawn}=require('child_process');for(let i=0;i<4;i++)spawn('setsid',['sh','-c','sleep 0.2 &']);setInterval(()=>{},1000);",
    );
    let Some(situation) = require(Situation::pid1(&[&node, &program, "start"])) else {
        return;
    };
    situation
        .diagnose_only(4, "sleep")
        .is("agent-openclaw", High)
        .includes("node-init");
}

#[test]
fn agent_claude_code() {
    known("agent-claude-code", "claude", "git");
}

#[test]
fn agent_codex() {
    known("agent-codex", "codex-acp", "grep");
}

#[test]
fn agent_sandbox() {
    for agent in ["osb-agent", "agentd", "openab"] {
        known("agent-sandbox", agent, "npm install");
    }
}

#[test]
fn mcp_servers() {
    for server in ["npm exec @scope/", "uvx", "mcp-server-git", "context7-mcp"] {
        known("mcp-servers", "gateway", server);
    }
}

#[test]
fn npd_plugin() {
    known("npd-plugin", "node-problem-detector", "network_problem");
}

#[test]
fn git_orphans() {
    for zombies in ["git", "git-remote-http"] {
        known("git-orphans", "controller", zombies);
    }
}

#[test]
fn pipecd_git() {
    known("pipecd-git", "launcher", "git");
    // Anything else that is called launcher is not PipeCD.
    let Some(situation) = require(given("launcher", "sleep")) else {
        return;
    };
    situation.diagnose(4).is_not("pipecd-git");
}

#[test]
fn istio_probe() {
    known("istio-probe", "pilot-agent", "rprobe.sh");
}

#[test]
fn probe_keydb() {
    known("probe-keydb", "keydb-server", "ping_readiness_");
}

/// A JVM's arguments, given to a program that takes them for nothing.
#[test]
fn probe_zookeeper() {
    let server = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
    let Some(situation) = require(as_first("java", &["daemons", "nc", "4", server])) else {
        return;
    };
    situation.diagnose(4).is("probe-zookeeper", High);
}

#[test]
fn gitlab_runner() {
    known("gitlab-runner", "gitlab-runner", "gunicorn");
}

#[test]
fn jenkins_agent() {
    let arguments = [
        "daemons",
        "sleep",
        "4",
        "-jar",
        "/usr/share/jenkins/agent.jar",
    ];
    let Some(situation) = require(as_first("java", &arguments)) else {
        return;
    };
    situation.diagnose(4).is("jenkins-agent", High);
}

#[test]
fn fail2ban() {
    let Some(python) = require(python()) else {
        return;
    };
    let dir = directory();
    // It looks after a command every so often, as fail2ban's executeCmd does.
    let program = script(
        dir.path(),
        "fail2ban-server",
        "import subprocess, time\np = [subprocess.Popen(['true']) for _ in range(3)]\ntime.sleep(1000)\n",
    );
    let Some(situation) = require(Situation::inside(&[&python, &program])) else {
        return;
    };
    situation.diagnose(3).is("fail2ban", Medium);
}

#[test]
fn ssh_control_master() {
    known("ssh-control-master", "provider-ansible", "ssh");
}

#[test]
fn cron_jobs() {
    known("cron-jobs", "go-crond", "backup.sh");
    // busybox: the applet is the program.
    let Some(busybox) = require(which("busybox")) else {
        return;
    };
    let tabs = directory();
    let place = tabs.path().to_str().unwrap().to_owned();
    let Some(situation) = require(Situation::pid1(&[&busybox, "crond", "-f", "-c", &place])) else {
        return;
    };
    assert!(Path::new(&place).is_dir());
    let mut job = situation.exec(&["setsid", "sh", "-c", "sleep 0.3 & sleep 0.3 & exit"]);
    let _ = job.child().wait();
    let diagnosis = situation.diagnose_only(2, "sleep");
    assert_eq!(diagnosis.ids()[0], "cron-jobs");
}

#[test]
fn systemd_frozen() {
    let Some(situation) = require(given("systemd", "agetty")) else {
        return;
    };
    situation.diagnose(4).is("systemd-frozen", Medium);
}
