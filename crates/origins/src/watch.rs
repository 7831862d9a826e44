//! The forks of one process, while they happen.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use sexton_scan::proc::Process;

use crate::perf::{self, Ring};
use crate::record::{self, Record};
use crate::{Error, tracefs};

const ONLINE: &str = "/sys/devices/system/cpu/online";
/// Most threads of a process that is watched: each takes a descriptor for each CPU.
const THREADS: usize = 256;

/// A child, and where its parent was when it started it.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Pid of the child.
    pub child: u32,
    /// Addresses in the parent: the call into the kernel first, then its callers.
    pub addresses: Vec<u64>,
}

/// Watches from when it is made until it is dropped.
pub struct Watch {
    rings: Vec<Ring>,
    // Held: an event that is closed records nothing.
    _events: Vec<OwnedFd>,
    /// What each thread started whose sample is still to come; `None` for a thread.
    pending: HashMap<u32, Option<u32>>,
    lost: u64,
}

impl Watch {
    /// Starts to watch. The process is not stopped.
    ///
    /// # Errors
    /// The kernel does not allow it, or the process has ended.
    pub fn start(process: &Process) -> Result<Self, Error> {
        let pid = process.pid();
        let tracepoint = tracefs::fork_tracepoint()?;
        let threads = process.tasks()?.ok_or(Error::Gone(pid))?;
        if threads.len() > THREADS {
            return Err(Error::Threads { pid, most: THREADS });
        }
        let (mut rings, mut events) = (Vec::new(), Vec::new());
        for cpu in online()? {
            let opened = open_all(tracepoint, &threads, cpu)?;
            let Some((first, others)) = opened.split_first() else {
                return Err(Error::Gone(pid));
            };
            let failed = |what| move |source| Error::Perf { what, pid, source };
            rings.push(Ring::map(first).map_err(failed("mapping the record of forks"))?);
            for event in others {
                perf::share(event, first).map_err(failed("sharing the record of forks"))?;
            }
            events.extend(opened);
        }
        for event in &events {
            perf::enable(event).map_err(|source| Error::Perf {
                what: "starting to watch",
                pid,
                source,
            })?;
        }
        Ok(Self {
            rings,
            _events: events,
            pending: HashMap::new(),
            lost: 0,
        })
    }

    /// The children that were started since the last call.
    pub fn births(&mut self) -> Vec<Birth> {
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        for ring in &self.rings {
            bytes.clear();
            ring.take(&mut bytes);
            record::parse(&bytes, &mut records);
        }
        // A thread can go to another CPU between the two records of one fork.
        records.sort_by_key(Record::time);
        records
            .into_iter()
            .filter_map(|record| self.pair(record))
            .collect()
    }

    /// How many records the kernel had to drop: what it tells is then not the whole.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn pair(&mut self, record: Record) -> Option<Birth> {
        match record {
            Record::Lost(count) => {
                self.lost = self.lost.saturating_add(count);
                // A fork and the sample of another one would make a wrong pair.
                self.pending.clear();
                None
            }
            // A child outside our PID namespace has no number here.
            Record::Fork {
                parent_thread,
                child,
                is_thread,
                ..
            } => {
                let child = (!is_thread && child != 0).then_some(child);
                self.pending.insert(parent_thread, child);
                None
            }
            Record::Sample {
                thread, addresses, ..
            } => {
                let child = self.pending.remove(&thread)??;
                Some(Birth { child, addresses })
            }
        }
    }
}

fn open_all(tracepoint: u64, threads: &[u32], cpu: u32) -> Result<Vec<OwnedFd>, Error> {
    let mut opened = Vec::new();
    for thread in threads {
        match perf::open(tracepoint, *thread, cpu) {
            Ok(event) => opened.push(event),
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {}
            Err(source) => {
                return Err(Error::Perf {
                    what: "opening the tracepoint",
                    pid: *thread,
                    source,
                });
            }
        }
    }
    Ok(opened)
}

fn online() -> Result<Vec<u32>, Error> {
    let failed = |source| Error::Read {
        path: ONLINE,
        source,
    };
    let mut text = String::new();
    File::open(ONLINE)
        .and_then(|file| file.take(4096).read_to_string(&mut text))
        .map_err(failed)?;
    cpus(&text).ok_or_else(|| failed(io::Error::other("not a list of CPUs")))
}

/// `0-3,8`
fn cpus(text: &str) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        found.extend(first..=last);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(cpus("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(cpus("0\n"), Some(vec![0]));
        assert_eq!(cpus(""), None);
    }
}
