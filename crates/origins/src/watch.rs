//! The forks of one process, while they happen.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use sexton_scan::proc::Process;

use crate::image::Image;
use crate::perf::{self, Ring};
use crate::python::Python;
use crate::record::{self, Record};
use crate::unwind::Unwinder;
use crate::{Error, Frame, tracefs};

const ONLINE: &str = "/sys/devices/system/cpu/online";
/// Most threads of a process that is watched: each takes a descriptor for each CPU.
const THREADS: usize = 256;

/// A child, and where its parent was when it started it.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Pid of the child.
    pub child: u32,
    /// Where the parent was.
    pub chain: Chain,
}

/// The calls that led to a child.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Chain {
    /// Addresses: the call into the kernel first, then its callers.
    Addresses(Vec<u64>),
    /// The same, and each is certain.
    Unwound(Vec<u64>),
    /// Calls of the program in its own language, the innermost first. None where we came too late
    /// to see them.
    Calls(Vec<Frame>),
}

/// How the calls of a program are found.
enum Reader {
    /// From the memory of its interpreter.
    Python(Python),
    /// By the tables of its code.
    Native(Unwinder),
    /// By the kernel, from frame to frame: Go keeps frame pointers.
    FramePointers,
}

impl Reader {
    fn of(process: &Process) -> Result<Self, Error> {
        if let Some(python) = Python::of(process) {
            return Ok(Self::Python(python));
        }
        let program = process.open_file("exe")?.and_then(Image::open);
        if program.is_some_and(|program| program.is_go()) {
            return Ok(Self::FramePointers);
        }
        Ok(Unwinder::of(process).map_or(Self::FramePointers, Self::Native))
    }
}

/// Watches from when it is made until it is dropped.
pub struct Watch {
    /// With the event that it was made for.
    rings: Vec<(Ring, OwnedFd)>,
    // Held: an event that is closed records nothing.
    _others: Vec<OwnedFd>,
    /// What each thread started whose sample is still to come; `None` for a thread.
    pending: HashMap<u32, Option<u32>>,
    reader: Reader,
    lost: u64,
    /// The program, and whether each of its threads was surely seen from the beginning.
    program: Option<PathBuf>,
    all_threads: bool,
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
        let reader = Reader::of(process)?;
        let stack = matches!(reader, Reader::Native(_));
        let failed = |what| move |source| Error::Perf { what, pid, source };
        let (mut rings, mut others) = (Vec::new(), Vec::new());
        for cpu in online()? {
            let mut opened = open_all(tracepoint, &threads, cpu, stack)?.into_iter();
            let first = opened.next().ok_or(Error::Gone(pid))?;
            let ring = Ring::map(&first).map_err(failed("mapping the record of forks"))?;
            for event in opened {
                perf::share(&event, &first).map_err(failed("sharing the record of forks"))?;
                others.push(event);
            }
            rings.push((ring, first));
        }
        for event in rings.iter().map(|(_, event)| event).chain(&others) {
            perf::enable(event).map_err(failed("starting to watch"))?;
        }
        // One that came between may have been started by a thread that was not watched yet.
        let now = process.tasks()?.ok_or(Error::Gone(pid))?;
        Ok(Self {
            program: process.exe()?,
            all_threads: now.iter().all(|thread| threads.contains(thread)),
            rings,
            _others: others,
            pending: HashMap::new(),
            reader,
            lost: 0,
        })
    }

    /// Waits until a child is started, or `most` has passed.
    pub fn wait(&self, most: Duration) {
        let rings = self.rings.iter();
        let mut polled: Vec<_> = rings
            .map(|(_, event)| PollFd::new(event, PollFlags::IN))
            .collect();
        let limit = Timespec::try_from(most).ok();
        // A signal ends it sooner: no harm.
        let _ = rustix::event::poll(&mut polled, limit.as_ref());
        // A thread that has ended is reported at once, again and again.
        let ended = |event: &PollFd<'_>| event.revents().contains(PollFlags::HUP);
        if polled.iter().any(ended) {
            std::thread::sleep(most);
        }
    }

    /// The children that were started since the last call. `process` is the one that is watched.
    pub fn births(&mut self, process: &Process) -> Vec<Birth> {
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        for (ring, _) in &self.rings {
            bytes.clear();
            ring.take(&mut bytes);
            record::parse(&bytes, &mut records);
        }
        // A thread can go to another CPU between the two records of one fork.
        records.sort_by_key(Record::time);
        records
            .into_iter()
            .filter_map(|record| self.pair(process, record))
            .collect()
    }

    /// How many records the kernel had to drop: what it tells is then not the whole.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether each fork of `process`, which is the one that is watched, was seen. A program that
    /// executes another one may not be watched any more.
    #[must_use]
    pub fn is_whole(&self, process: &Process) -> bool {
        let same = process.exe().is_ok_and(|program| program == self.program);
        same && self.all_threads && self.lost == 0
    }

    fn pair(&mut self, process: &Process, record: Record) -> Option<Birth> {
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
                thread,
                addresses,
                stack,
                ..
            } => {
                let child = self.pending.remove(&thread)??;
                let chain = match (&mut self.reader, stack) {
                    // What calls what within the interpreter tells nothing of the program.
                    (Reader::Python(python), _) => {
                        let frames = python.frames(process, thread, child);
                        Chain::Calls(frames.unwrap_or_default())
                    }
                    (Reader::Native(unwinder), Some(stack)) => {
                        Chain::Unwound(unwinder.addresses(process, &stack))
                    }
                    (Reader::Native(_) | Reader::FramePointers, _) => Chain::Addresses(addresses),
                };
                Some(Birth { child, chain })
            }
        }
    }
}

fn open_all(
    tracepoint: u64,
    threads: &[u32],
    cpu: u32,
    stack: bool,
) -> Result<Vec<OwnedFd>, Error> {
    let mut opened = Vec::new();
    for thread in threads {
        match perf::open(tracepoint, *thread, cpu, stack) {
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
