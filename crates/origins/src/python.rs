//! The frames of CPython's interpreter.
//!
//! The program is not stopped, so frames are believed only where it is proved that they held
//! still: `subprocess` starts its child by vfork, and until the child executes its program or
//! ends, the thread that started it cannot go on. For so long the two share their memory, and the
//! kernel tells that (kcmp). Where the child was faster than we, nothing is known of the line.

mod code;
mod layout;

use std::collections::HashMap;

use sexton_scan::proc::Process;

use crate::Frame;
use crate::image;
use crate::maps;
use crate::memory::Memory;
use crate::perf;
use code::{Code, Header, word};

/// Most interpreters, and threads of one.
const THREADS: usize = 1024;
/// Most frames of a thread: Python's own limit is 1,000 calls as a rule, and the first are enough.
const FRAMES: usize = 128;
/// Most functions that are remembered.
const CODES: usize = 4096;

/// The interpreter of one process.
pub(crate) struct Python {
    memory: Memory,
    runtime: u64,
    /// The file of code that has the interpreter.
    module: String,
    /// By thread, the state that it was found to have.
    threads: HashMap<u32, u64>,
    codes: HashMap<(u64, Header), Option<Code>>,
}

/// A call that was read: the function, and where in it.
struct Call {
    code: u64,
    header: Header,
    instruction: u64,
}

impl Python {
    /// `None` where the process has no interpreter that is understood.
    pub(crate) fn of(process: &Process) -> Option<Self> {
        let memory = Memory::of(process)?;
        for mapping in maps::read(process).ok()? {
            let name = mapping.path.rsplit('/').next().unwrap_or_default();
            if !name.starts_with("python3") && !name.starts_with("libpython3") {
                continue;
            }
            let file = process.open_file(&mapping.link()).ok().flatten();
            let symbols: [&[u8]; 2] = [b"_PyRuntime", b"Py_Version"];
            let found = file.and_then(|file| image::data(file, &mapping, symbols));
            let Some([runtime, version]) = found else {
                continue;
            };
            let understood = memory.word(version)? >> 16 == layout::VERSION;
            return understood.then_some(Self {
                memory,
                runtime,
                module: mapping.path,
                threads: HashMap::new(),
                codes: HashMap::new(),
            });
        }
        None
    }

    /// The calls of a thread at the moment at which it started `child`, the innermost first.
    /// `None` where that is past.
    pub(crate) fn frames(
        &mut self,
        process: &Process,
        thread: u32,
        child: u32,
    ) -> Option<Vec<Frame>> {
        let calls = self.calls(process, thread)?;
        if !perf::share_memory(process.pid(), child) {
            return None;
        }
        let mut frames = Vec::new();
        for Call {
            code: at,
            header,
            instruction,
        } in calls
        {
            let known = self.codes.contains_key(&(at, header));
            if !known && self.codes.len() < CODES {
                let code = Code::read(&self.memory, &header);
                // It is still the same one: its names were read later than it.
                let still = self.header(at) == Some(header);
                self.codes.insert((at, header), code.filter(|_| still));
            }
            let code = self.codes.get(&(at, header))?.as_ref()?;
            frames.push(Frame {
                function: Some(code.function.clone()),
                source: Some((code.file.clone(), code.line(instruction)?)),
                module: (self.module.clone(), 0),
                library: is_standard(&code.file),
                certain: true,
            });
        }
        // A package that was installed is not what its user wrote; where there is nothing else,
        // it is the program.
        if frames
            .iter()
            .any(|frame| !frame.library && !is_installed(frame))
        {
            for frame in &mut frames {
                frame.library |= is_installed(frame);
            }
        }
        Some(frames)
    }

    fn calls(&mut self, process: &Process, thread: u32) -> Option<Vec<Call>> {
        let state = self.state(process, thread)?;
        let cframe = self.memory.word(state.checked_add(layout::CFRAME)?)?;
        let current = cframe.checked_add(layout::CURRENT_FRAME)?;
        let mut at = self.memory.word(current)?;
        let mut calls = Vec::new();
        while at != 0 && calls.len() < FRAMES {
            let frame: [u8; layout::FRAME_SIZE] =
                self.memory.array(at.checked_add(layout::FRAME)?)?;
            let code = word(&frame, layout::FRAME_CODE)?;
            let begin = code.checked_add(layout::INSTRUCTIONS)?;
            calls.push(Call {
                code,
                header: self.header(code)?,
                instruction: word(&frame, layout::FRAME_INSTRUCTION)?.checked_sub(begin)? / 2,
            });
            at = word(&frame, layout::FRAME_PREVIOUS)?;
        }
        Some(calls)
    }

    fn header(&self, code: u64) -> Option<Header> {
        self.memory.array(code.checked_add(layout::CODE)?)
    }

    /// The interpreter's state of a thread.
    fn state(&mut self, process: &Process, thread: u32) -> Option<u64> {
        if let Some(state) = self.threads.get(&thread) {
            return Some(*state);
        }
        // The interpreter knows the thread as it knows itself: in its own PID namespace.
        let status = process
            .read(&format!("task/{thread}/status"))
            .ok()
            .flatten()?;
        let status = String::from_utf8_lossy(&status);
        let inner = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let inner: u64 = inner.split_whitespace().next_back()?.parse().ok()?;
        let found = self.find(inner)?;
        if self.threads.len() < THREADS {
            self.threads.insert(thread, found);
        }
        Some(found)
    }

    fn find(&self, thread: u64) -> Option<u64> {
        let head = self.runtime.checked_add(layout::INTERPRETERS)?;
        let mut interpreter = self.memory.word(head)?;
        for _ in 0..THREADS {
            if interpreter == 0 {
                break;
            }
            let mut state = self
                .memory
                .word(interpreter.checked_add(layout::THREADS)?)?;
            for _ in 0..THREADS {
                if state == 0 {
                    break;
                }
                if self.memory.word(state.checked_add(layout::THREAD_ID)?)? == thread {
                    return Some(state);
                }
                state = self.memory.word(state.checked_add(layout::NEXT_THREAD)?)?;
            }
            let next = interpreter.checked_add(layout::NEXT_INTERPRETER)?;
            interpreter = self.memory.word(next)?;
        }
        None
    }
}

/// Whether a file is one of Python's own library: `/usr/lib/python3.11/subprocess.py`.
fn is_standard(file: &str) -> bool {
    file.starts_with('<') || in_lib(file) && !in_packages(file)
}

fn is_installed(frame: &Frame) -> bool {
    let file = frame.source.as_ref().map(|(file, _)| file.as_str());
    file.is_some_and(in_packages)
}

/// `/usr/lib/python3/dist-packages`, `/venv/lib/python3.11/site-packages`
fn in_packages(file: &str) -> bool {
    let mut parts = file.split('/');
    parts.any(|part| part == "site-packages" || part == "dist-packages")
}

fn in_lib(file: &str) -> bool {
    let mut parts = file.split('/');
    while let Some(part) = parts.next() {
        if matches!(part, "lib" | "lib64") && parts.clone().next().is_some_and(is_version) {
            return true;
        }
    }
    false
}

/// `python3.11`, `python3`
fn is_version(part: &str) -> bool {
    let version = part.strip_prefix("python3");
    version.is_some_and(|rest| rest.bytes().all(|b| b == b'.' || b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_file_is() {
        assert!(is_standard("/usr/lib/python3.11/subprocess.py"));
        assert!(is_standard("<frozen runpy>"));
        for own in [
            "/app/subprocess.py",
            "crawl.py",
            "/srv/lib/python/tool.py",
            "/home/lib/pythonic/a.py",
            "/venv/lib/python3.11/site-packages/selenium/service.py",
        ] {
            assert!(!is_standard(own), "{own}");
        }
        assert!(in_packages("/usr/lib/python3/dist-packages/apt/cache.py"));
    }
}
