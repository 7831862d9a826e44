//! How many processes of this cgroup the kernel has killed for want of memory.

use crate::line::Line;
use crate::proc::read_file;
use crate::text::number;

/// The counter as it stood when init began.
pub(crate) struct Counter(Option<u32>);

impl Counter {
    pub(crate) fn new() -> Self {
        Self(count())
    }

    /// How much it has risen since; 0 where there is no counter.
    pub(crate) fn rise(self) -> u32 {
        match (self.0, count()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => 0,
        }
    }
}

/// Reads the counter: `memory.events` (cgroup v2) or `memory.oom_control` (v1, since 4.13).
fn count() -> Option<u32> {
    // A container sees its own cgroup at the root of the mount. The real root has no such
    // file in v2, but has it in v1.
    at("/sys/fs/cgroup", b"", "/memory.events").or_else(count_by_path)
}

fn count_by_path() -> Option<u32> {
    let mut buffer = [0u8; 2048];
    let cgroups = read_file(c"/proc/self/cgroup", &mut buffer).ok()?;
    let path_of = |controller: &[u8]| {
        cgroups.split(|&byte| byte == b'\n').find_map(|line| {
            // hierarchy:controllers:path; v2 has no controllers.
            let mut parts = line.splitn(3, |&byte| byte == b':').skip(1);
            let mut names = parts.next()?.split(|&byte| byte == b',');
            names
                .any(|name| name == controller)
                .then_some(parts.next()?)
        })
    };
    let v1 = "/sys/fs/cgroup/memory";
    let file = "/memory.oom_control";
    path_of(b"memory")
        // In a container v1 shows the host's path, but mounts the container's own cgroup.
        .and_then(|path| at(v1, path, file).or_else(|| at(v1, b"", file)))
        .or_else(|| at("/sys/fs/cgroup", path_of(b"")?, "/memory.events"))
}

fn at(mount: &str, path: &[u8], file: &str) -> Option<u32> {
    let mut name = Line::new();
    name.text(mount).bytes(path).text(file);
    let mut buffer = [0u8; 512];
    oom_kills(read_file(name.path(), &mut buffer).ok()?)
}

/// The line `oom_kill N` of either file.
fn oom_kills(text: &[u8]) -> Option<u32> {
    let mut lines = text.split(|&byte| byte == b'\n');
    lines.find_map(|line| number(line.strip_prefix(&b"oom_kill "[..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read() {
        let v2 = b"low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
        let v1 = b"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n";
        assert_eq!(oom_kills(v2), Some(2));
        assert_eq!(oom_kills(v1), Some(7));
        assert_eq!(oom_kills(b"oom_kill_disable 0\nunder_oom 0\n"), None);
    }
}
