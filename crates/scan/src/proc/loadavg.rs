//! `/proc/loadavg` (`proc_loadavg(5)`).

use super::Malformed;

/// What `/proc/loadavg` says beside the averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loadavg {
    /// Tasks that can run now.
    pub running: u32,
    /// All tasks of the machine, whatever the reader's PID namespace: processes, threads,
    /// kernel threads and zombies (`nr_threads` in `kernel/fork.c`).
    pub tasks: u64,
    /// The pid that was given out last in the reader's PID namespace.
    pub last_pid: u32,
}

impl Loadavg {
    /// Parses the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let text = str::from_utf8(bytes).map_err(|_| Malformed("plain text"))?;
        let mut fields = text.split_ascii_whitespace().skip(3);
        let (running, tasks) = fields
            .next()
            .and_then(|field| field.split_once('/'))
            .ok_or(Malformed("running/total"))?;
        Ok(Self {
            running: running.parse().map_err(|_| Malformed("running"))?,
            tasks: tasks.parse().map_err(|_| Malformed("total"))?,
            last_pid: fields
                .next()
                .and_then(|field| field.parse().ok())
                .ok_or(Malformed("last pid"))?,
        })
    }
}
