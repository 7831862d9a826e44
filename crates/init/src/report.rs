//! Zombies that init cannot take: their parent lives, and does not wait for them.

use crate::config::Name;
use crate::errno::Errno;
use crate::line::{Line, STDERR, STDOUT};
use crate::names;
use crate::proc::{self, Stat};
use crate::sys::{Fd, Pid};

/// How many holders are told apart; zombies of others are only counted.
const HOLDERS: usize = 32;

/// `--report`: prints the zombies of this PID namespace, and gives the exit code.
pub(crate) fn run() -> i32 {
    match print(STDOUT, &|_| true) {
        Ok(0) => Line::new().text("sexton-init: no zombies").write(STDOUT),
        Ok(_) => {}
        Err(_) => return names::failure(Name::Own),
    }
    0
}

/// Prints one line for each process that holds zombies and is meant, the worst first. Gives
/// the number of zombies.
pub(crate) fn print(fd: Fd, is_meant: &dyn Fn(Pid) -> bool) -> Result<u32, Errno> {
    let mut holders = [(0 as Pid, 0u32); HOLDERS];
    let mut others = 0;
    let mut all = 0;
    let read = proc::each(&mut |pid| {
        let Some(stat) = Stat::of(pid).filter(Stat::is_zombie) else {
            return;
        };
        if !is_meant(stat.parent) {
            return;
        }
        all += 1;
        match holders
            .iter_mut()
            .find(|(holder, n)| *n == 0 || *holder == stat.parent)
        {
            Some(entry) => *entry = (stat.parent, entry.1 + 1),
            None => others += 1,
        }
    });
    if let Err(error) = read {
        Line::new()
            .text("sexton-init: cannot read /proc: ")
            .bytes(error.words())
            .write(STDERR);
        return Err(error);
    }
    while let Some(worst) = holders
        .iter_mut()
        .max_by_key(|(_, n)| *n)
        .filter(|(_, n)| *n > 0)
    {
        let (holder, count) = core::mem::take(worst);
        tell(fd, holder, count);
    }
    if others > 0 {
        Line::new()
            .text("sexton-init: and ")
            .count(others)
            .text(" zombies of others")
            .write(fd);
    }
    Ok(all)
}

fn tell(fd: Fd, holder: Pid, count: u32) {
    Line::new()
        .text("sexton-init: process ")
        .process(holder)
        .text(" holds ")
        .count(count)
        .text(if count == 1 { " zombie" } else { " zombies" })
        .text(": it lives and has not waited for them, so no init can reap them; see `sexton explain`")
        .write(fd);
}
