//! What the node and our own rights are.

use std::path::Path;

use rustix::fs::{Access, access};
use rustix::thread::CapabilitySet;
use sexton_core::check::Check;
use sexton_core::text::{self, count, limit};
use sexton_runtime::Runtimes;
use sexton_scan::Scanner;

use super::MOUNT_PROC;

/// The oldest kernel that is supported.
const OLDEST: (u32, u32) = (5, 10);
/// From so many percent used a limit is near.
const NEAR: u8 = sexton_core::report::NEAR_PERCENT;
/// The inode of the first PID namespace (`PROC_PID_INIT_INO`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";
/// Each capability, and what it is for.
const CAPABILITIES: [(CapabilitySet, &str, &str); 4] = [
    (
        CapabilitySet::SYS_PTRACE,
        "CAP_SYS_PTRACE",
        "see namespaces and programs of other users, and reap for them",
    ),
    (
        CapabilitySet::DAC_OVERRIDE,
        "CAP_DAC_OVERRIDE",
        "open the memory of other users' processes, and the runtimes' sockets",
    ),
    (
        CapabilitySet::KILL,
        "CAP_KILL",
        "send SIGCHLD, SIGTERM and SIGKILL to processes of other users",
    ),
    (
        CapabilitySet::IPC_LOCK,
        "CAP_IPC_LOCK",
        "keep the agent's pages in memory",
    ),
];

/// All checks but the real reap.
pub(super) fn checks(
    scanner: &Scanner,
    host: &Path,
    cgroup: &Path,
    audit_log: &Path,
) -> Vec<Check> {
    let mut checks = vec![
        kernel(),
        architecture(),
        cgroups(cgroup),
        whole_proc(scanner),
        pid_namespace(scanner),
    ];
    checks.extend(capabilities());
    checks.push(yama(scanner));
    checks.push(confinement(scanner));
    checks.extend(runtimes(host));
    checks.push(writable(audit_log));
    checks.extend(limits(scanner));
    checks
}

fn kernel() -> Check {
    let uname = rustix::system::uname();
    kernel_of(&uname.release().to_string_lossy())
}

fn kernel_of(release: &str) -> Check {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        return Check::ok("kernel", format!("Linux {release}"));
    }
    let (major, minor) = OLDEST;
    Check::failed(
        "kernel",
        format!("Linux {release} is too old"),
        format!("Use Linux {major}.{minor} or later."),
    )
}

fn architecture() -> Check {
    let found = std::env::consts::ARCH;
    match found {
        "x86_64" => Check::ok("architecture", found),
        _ => Check::warning(
            "architecture",
            format!("{found}: scan, limits and explain work; reap is refused"),
            "Use policies with no step after nudge on this node.",
        ),
    }
}

fn cgroups(root: &Path) -> Check {
    let there = |name: &str| root.join(name).exists();
    match (there("cgroup.controllers"), there("pids")) {
        (true, _) => Check::ok("cgroups", "version 2"),
        (false, true) if there("unified") => Check::ok("cgroups", "versions 1 and 2 (hybrid)"),
        (false, true) => Check::ok("cgroups", "version 1"),
        (false, false) => Check::warning(
            "cgroups",
            format!("no pids controller at {}", root.display()),
            "Mount the node's /sys/fs/cgroup there, or say where it is: --path-cgroupfs DIR. \
             Without it, limits of containers are not seen.",
        ),
    }
}

/// `hidepid` hides processes of other users; one with `subset=pid` cannot be opened at all.
fn whole_proc(scanner: &Scanner) -> Check {
    let proc = scanner.proc();
    let path = proc.path().display();
    match proc.read("1/stat") {
        Ok(Some(_)) => Check::ok("/proc", format!("{path} shows processes of other users")),
        _ => Check::failed(
            "/proc",
            format!("{path} hides processes of other users (hidepid)"),
            MOUNT_PROC,
        ),
    }
}

fn pid_namespace(scanner: &Scanner) -> Check {
    let own = std::fs::read_link(scanner.proc().path().join("self/ns/pid"));
    match own {
        Ok(own) if own == Path::new(FIRST_PID_NAMESPACE) => {
            Check::ok("PID namespace", "the node's own")
        }
        Ok(_) => Check::warning(
            "PID namespace",
            "not the node's: only the processes of this container are seen",
            "Give the pod hostPID: true, or the container --pid=host.",
        ),
        Err(cause) => Check::warning(
            "PID namespace",
            format!("cannot be read: {}", text::os(&cause)),
            "Check how /proc is mounted.",
        ),
    }
}

fn capabilities() -> Vec<Check> {
    let effective = match rustix::thread::capabilities(None) {
        Ok(sets) => sets.effective,
        Err(cause) => {
            let found = format!("cannot be read: {}", text::os(&cause));
            let advice = "Check whether a seccomp profile forbids capget.";
            return vec![Check::warning("capabilities", found, advice)];
        }
    };
    let check = |(capability, name, purpose): &(CapabilitySet, &str, &str)| {
        if effective.contains(*capability) {
            return Check::ok(name, format!("held, to {purpose}"));
        }
        let advice = format!("Run as root, or add {name} to the pod or the unit.");
        Check::warning(name, format!("missing, to {purpose}"), advice)
    };
    CAPABILITIES.iter().map(check).collect()
}

fn yama(scanner: &Scanner) -> Check {
    let scope = scanner.proc().read("sys/kernel/yama/ptrace_scope");
    let capable = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE));
    let Ok(Some(scope)) = scope else {
        return Check::ok("Yama", "not in this kernel");
    };
    match (scope.trim_ascii(), capable) {
        (b"0", _) => Check::ok("Yama", "off (ptrace_scope 0)"),
        (b"1" | b"2", true) => Check::ok("Yama", "on, and CAP_SYS_PTRACE is exempt"),
        (b"1", false) => Check::warning(
            "Yama",
            "ptrace_scope 1: only a parent may trace, so nothing else can be reaped",
            "Run with CAP_SYS_PTRACE.",
        ),
        (b"2", false) => Check::failed(
            "Yama",
            "ptrace_scope 2: tracing needs CAP_SYS_PTRACE",
            "Run with CAP_SYS_PTRACE.",
        ),
        _ => Check::failed(
            "Yama",
            "ptrace_scope 3: nothing can be traced until the next boot",
            "Set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d, and boot again.",
        ),
    }
}

/// What confines this process is only told: whether it is in the way, the real reap shows.
fn confinement(scanner: &Scanner) -> Check {
    let proc = scanner.proc();
    let label = match proc.read("self/attr/current") {
        Ok(Some(label)) => String::from_utf8_lossy(&label)
            .trim_matches(['\0', '\n'])
            .to_owned(),
        _ => String::new(),
    };
    let label = match label.as_str() {
        "" => "no label of AppArmor or SELinux".to_owned(),
        label => format!("label {label}"),
    };
    let own = proc.own_pid().map(|pid| proc.status(pid, &mut Vec::new()));
    let seccomp = match own {
        Some(Ok(Some(status))) if status.seccomp > 0 => "a seccomp filter",
        Some(Ok(Some(_))) => "no seccomp filter",
        _ => "seccomp unknown",
    };
    Check::ok("confinement", format!("{label}, {seccomp}"))
}

fn runtimes(host: &Path) -> Vec<Check> {
    const NAME: &str = "container runtime";
    let mut runtimes = Runtimes::find(host, &[]);
    runtimes.refresh();
    let troubled: Vec<_> = runtimes.notes().collect();
    let mut checks: Vec<Check> = troubled
        .iter()
        .map(|(runtime, error)| {
            let advice = "Check that it runs, and that Sexton may open its socket. Without it, \
                          containers have ids and no names, and no step can restart them.";
            Check::warning(NAME, format!("{runtime}: {error}"), advice)
        })
        .collect();
    let answers = |name: &&str| !troubled.iter().any(|(troubled, _)| troubled == name);
    for name in runtimes.names().filter(answers) {
        checks.push(Check::ok(NAME, format!("{name} answers")));
    }
    if checks.is_empty() {
        checks.push(Check::ok(NAME, "none found on this node"));
    }
    checks
}

/// Nothing is written: of the nearest folder that is there it is asked whether it may be.
fn writable(audit_log: &Path) -> Check {
    let path = audit_log.display();
    let nearest = audit_log.ancestors().find(|path| path.exists());
    let may = |nearest: &Path| match nearest == audit_log || nearest.is_dir() {
        true => access(nearest, Access::WRITE_OK),
        false => Err(rustix::io::Errno::NOTDIR),
    };
    match nearest.map(may) {
        Some(Ok(())) => Check::ok("audit log", format!("the rights allow to write {path}")),
        Some(Err(cause)) => Check::warning(
            "audit log",
            format!("{path} cannot be written: {}", text::os(&cause)),
            "The agent needs it; run it as root, or say where else: --audit-log FILE.",
        ),
        None => Check::warning(
            "audit log",
            format!("{path} is not a path that can be made"),
            "Give a whole path: --audit-log FILE.",
        ),
    }
}

fn limits(scanner: &Scanner) -> Vec<Check> {
    const NAME: &str = "limits";
    let near = match sexton_scan::limits::of_all(scanner, NEAR) {
        Ok(near) => near,
        Err(error) => {
            let advice = "Check how /proc is mounted.";
            return vec![Check::warning(NAME, error.to_string(), advice)];
        }
    };
    if near.is_empty() {
        let found = format!("less than {NEAR}% of every limit is used");
        return vec![Check::ok(NAME, found)];
    }
    let check = |near: &sexton_core::Limit| {
        let left = near.headroom().map_or_else(|| "?".to_owned(), count);
        let found = format!("{}: room for {left} more", limit::name(near));
        Check::warning(NAME, found, "See who fills it: sexton limits --all.")
    };
    near.iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_kernel_before_5_10_fails() {
        for (release, status) in [
            ("5.10.0-28-amd64", Status::Ok),
            ("6.1.0", Status::Ok),
            ("5.9.16", Status::Failed),
            ("4.19.0-26-amd64", Status::Failed),
            ("strange", Status::Failed),
        ] {
            assert_eq!(kernel_of(release).status, status, "{release}");
        }
    }

    #[test]
    fn an_audit_log_below_a_folder_that_is_not_there_yet_can_be_written() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let status = |path: &Path| writable(path).status;
        assert_eq!(status(&dir.path().join("a/b/audit.jsonl")), Status::Ok);
        std::fs::write(dir.path().join("file"), "").expect("it is ours");
        assert_eq!(status(&dir.path().join("file")), Status::Ok);
        assert_eq!(status(&dir.path().join("file/x")), Status::Warning);
    }
}
