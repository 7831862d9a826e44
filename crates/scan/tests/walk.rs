//! Zombies of real processes.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::process::{Child, Command};
use std::time::Duration;

use sexton_core::report::Exit;
use sexton_scan::{Options, Roots, Scanner};

/// A shell that starts `count` children and never waits for them. It becomes `sleep`, so that
/// nobody waits.
struct Leaker(Child);

impl Leaker {
    fn start(count: u32, exit: u32) -> Self {
        let script = format!("for i in $(seq {count}); do (exit {exit}) & done; exec sleep 600");
        let child = Command::new("sh").arg("-c").arg(script).spawn().unwrap();
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Leaker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not seen within five seconds");
}

#[test]
fn a_leak_is_found_with_its_holder() {
    let leaker = Leaker::start(12, 3);
    let mut scanner = Scanner::new(Roots::default()).unwrap();
    let leak = until(|| {
        let report = scanner.scan(&Options::default()).unwrap();
        report
            .leaks
            .into_iter()
            .find(|leak| leak.holder.id.pid == leaker.pid() && leak.zombies == 12)
    });
    assert_eq!(leak.inspected, 12);
    assert_eq!(leak.commands.len(), 1);
    assert_eq!(leak.commands[0].count, 12);
    assert_eq!(leak.sample.len(), 8);
    assert_eq!(leak.sample[0].exit, Some(Exit::Code(3)));
    assert_eq!(leak.holder.command_line[0], "sleep");
    assert_eq!(scanner.zombies_of(leak.holder.id).unwrap().len(), 12);
}
