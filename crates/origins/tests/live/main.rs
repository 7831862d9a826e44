//! Real programs: the function that leaks is named or the place is not known; no other is blamed.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

mod c;
mod go;
mod python;
mod rust;

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use sexton_origins::{Place, Places, Symbolizer, Watch};
use sexton_scan::proc::Proc;

/// Ends the program also when the test panics; its zombies go with it.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program, and watches it for four seconds. `None` where perf is not for us.
fn places(path: &Path) -> Option<Vec<Place>> {
    places_of(Command::new(path), 4)
}

/// The same of a command, for so many seconds.
fn places_of(mut command: Command, seconds: u64) -> Option<Vec<Place>> {
    let program = Program(command.spawn().unwrap());
    // What it is has to be seen first: until then it is a copy of us.
    std::thread::sleep(Duration::from_millis(500));
    let proc = Proc::open(Path::new("/proc")).unwrap();
    let process = proc.process(program.0.id()).unwrap().unwrap();
    let mut watch = match Watch::start(&process) {
        Ok(watch) => watch,
        Err(why) if !rustix::process::geteuid().is_root() => {
            eprintln!("skipped: {why}");
            return None;
        }
        Err(why) => panic!("{why}"),
    };
    let (mut places, start) = (Places::default(), Instant::now());
    while start.elapsed() < Duration::from_secs(seconds) {
        watch.wait(Duration::from_millis(50));
        for birth in watch.births(&process) {
            places.add(&proc, birth).unwrap();
        }
    }
    places.look(&proc).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let mut names = Symbolizer::new(&process).unwrap();
    Some(places.sum(&proc, &mut names).unwrap())
}
