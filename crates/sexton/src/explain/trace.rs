//! `--trace`: which places in the holder's code start the children that it does not wait for.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use sexton_core::birthplace::{Birthplace, CALLS, Frame, MOST};
use sexton_core::cause::Language;
use sexton_core::text::birthplace;
use sexton_core::{Holder, Leak};
use sexton_origins::{Place, Places, Symbolizer, Watch};
use sexton_scan::Scanner;
use sexton_scan::facts::Forks;
use sexton_scan::proc::{Proc, Process};

use crate::error::Error;
use crate::output::lines::Lines;
use crate::output::{DIM, WARN, text};

/// The kernel's record of forks is emptied so often; it has room for several hundred.
const STEP: Duration = Duration::from_millis(50);
/// Places that a person reads.
const SHOWN: usize = 5;

/// The watch over the forks of one holder.
pub struct Trace {
    process: Process,
    watch: Watch,
    places: Places,
    began: Instant,
    /// The first tick since boot of which all is seen.
    from: u64,
    /// When to look which children are zombies; those that still are at the end stand.
    look_at: Option<Instant>,
}

impl Trace {
    /// Begins to watch, for `time`.
    pub fn begin(
        scanner: &mut Scanner,
        holder: &Holder,
        time: Duration,
        allow_host: bool,
    ) -> Result<Self, Error> {
        let pid = holder.id.pid;
        if let Some(refusal) = sexton_reap::left_alone(scanner, holder.id, allow_host)? {
            return Err(Error::Unwatched { pid, refusal });
        }
        let process = scanner.proc().process(pid)?;
        let process = process.ok_or(sexton_origins::Error::Gone(pid))?;
        // Opened once: from here on it is the same process, whatever becomes of the pid.
        if process.id()? != Some(holder.id) {
            return Err(sexton_origins::Error::Gone(pid).into());
        }
        // Python's frames are there for as long as its child needs to execute its program: who is
        // to see them must not wait for its turn. Refused, fewer children have a line.
        let _ = rustix::process::nice(-20);
        let began = Instant::now();
        Ok(Self {
            watch: Watch::start(&process)?,
            process,
            places: Places::default(),
            began,
            from: ticks() + 1,
            look_at: Some(began + time.saturating_sub(patience(time))),
        })
    }

    /// Lets `time` pass.
    pub fn pause(&mut self, proc: &Proc, time: Duration) -> Result<(), Error> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            self.watch.wait(left.min(STEP));
            for birth in self.watch.births(&self.process) {
                self.places.add(proc, birth)?;
            }
            if self.look_at.is_some_and(|at| at <= Instant::now()) {
                self.places.look(proc)?;
                self.look_at = None;
            }
            if left <= STEP {
                return Ok(());
            }
        }
    }

    /// Ends the watch, and puts what it has seen into the leak.
    pub fn end(mut self, proc: &Proc, leak: &mut Leak) -> Result<Forks, Error> {
        let until = ticks();
        self.pause(proc, Duration::ZERO)?;
        let Self {
            process,
            watch,
            places,
            began,
            from,
            look_at: _,
        } = self;
        let notes = &mut leak.notes;
        let missed = watch.lost().saturating_add(places.missed());
        if missed > 0 {
            let missed = text::plural(missed, "record", "records");
            notes.push(format!(
                "{missed} of forks were dropped, since there were too many: \
                 the figures of the trace are not the whole"
            ));
        }
        // Names are read from the process: one that has ended takes them with it.
        let summed = Symbolizer::new(&process).and_then(|mut names| {
            let found = places.sum(proc, &mut names)?;
            Ok((found, names.is_denied()))
        });
        match summed {
            Ok((found, is_denied)) => {
                leak.origins = found.into_iter().take(MOST).map(birthplace_of).collect();
                if is_denied {
                    notes.push(
                        "files of the program's code cannot be read: give Sexton CAP_SYS_ADMIN"
                            .to_owned(),
                    );
                }
                if leak.origins.is_empty() {
                    let watched = text::duration(began.elapsed().as_secs());
                    notes.push(format!(
                        "the trace saw the process start no child in {watched}: \
                         watch it for longer, or while it works"
                    ));
                }
            }
            Err(error @ sexton_origins::Error::Gone(_)) => {
                notes.push(format!("what the trace saw cannot be named: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        let whole = missed == 0 && watch.is_whole(&process);
        Ok(Forks {
            born: places.children().collect(),
            whole: if whole { from..until } else { 0..0 },
        })
    }
}

/// Takes back what is no place in a program that an interpreter runs: all its children are started
/// by the same few calls of the interpreter.
pub fn doubt(leak: &mut Leak, language: Language) {
    let is_interpreted = match language {
        Language::Go | Language::Rust | Language::Native | Language::Unknown => false,
        Language::Python
        | Language::Node
        | Language::Java
        | Language::Ruby
        | Language::Php
        | Language::Perl
        | Language::DotNet
        | Language::Erlang
        | Language::Shell => true,
    };
    let mut doubtful = false;
    for place in &mut leak.origins {
        let is_own = language == Language::Python && place.calls.iter().all(|c| c.file.is_some());
        if place.known && is_interpreted && !is_own {
            place.known = false;
            doubtful = true;
        }
    }
    if doubtful {
        leak.notes.push(
            "the trace does not read the lines of this language, or of this version of it: \
             it saw calls of the interpreter alone"
                .to_owned(),
        );
    }
}

/// Ticks since boot, as `/proc/PID/stat` counts them.
fn ticks() -> u64 {
    let uptime = crate::clock::now().uptime;
    let hertz = rustix::param::clock_ticks_per_second();
    let part = u64::from(uptime.subsec_nanos()) * hertz / 1_000_000_000;
    uptime.as_secs() * hertz + part
}

/// How long a child has to be a zombie until it is said that nothing waits for it: a program may
/// look after its children every few seconds.
fn patience(time: Duration) -> Duration {
    (time / 3).min(Duration::from_secs(10))
}

fn birthplace_of(place: Place) -> Birthplace {
    Birthplace {
        known: place.is_known(),
        started: place.started,
        standing: place.standing,
        running: place.running,
        gone: place.gone(),
        oldest_seconds: place.oldest.map(|oldest| oldest.as_secs()),
        calls: place.chain.into_iter().take(CALLS).map(frame_of).collect(),
    }
}

fn frame_of(frame: sexton_origins::Frame) -> Frame {
    let (file, line) = frame.source.unzip();
    let (module, offset) = frame.module;
    Frame {
        function: frame.function,
        file,
        line,
        module,
        offset,
    }
}

/// The places, as part of what is told of a leak.
pub fn draw<W: Write>(lines: &mut Lines<W>, origins: &[Birthplace]) -> io::Result<()> {
    for (i, place) in origins.iter().take(SHOWN).enumerate() {
        let name = if i == 0 { "  started at" } else { "" };
        let style = if place.standing > 0 { WARN } else { DIM };
        lines.hanging(14, name, style, &birthplace::place(place))?;
        lines.hanging(16, "", DIM, &birthplace::outcome(place))?;
    }
    let more = origins.len().saturating_sub(SHOWN);
    if more > 0 {
        let places = text::plural(more as u64, "more place", "more places");
        lines.hanging(14, "", DIM, &format!("and {places}; -o json shows them"))?;
    }
    Ok(())
}
