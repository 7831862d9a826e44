//! The demo's actors, and the doctor's: this executable under other names, told apart by `argv[0]` as in a
//! multi-call binary, so that `ps` and the tool itself show names that mean something.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};

use super::cgroup::Cgroup;
use crate::doctor::trial;

/// Makes the container and takes it down.
pub const KEEPER: &str = "demo-keeper";
/// PID 1 of the container: waits for whatever is orphaned, as an init should.
const INIT: &str = "demo-init";
/// Starts children and never waits.
const CRAWLER: &str = "demo-crawler";
/// A child: does nothing and ends.
const PAGE: &str = "render-page";
/// Between two children while there is room.
const PACE: Duration = Duration::from_millis(30);

/// Plays the part that `argv[0]` names; `None` when that is none of the demo's.
pub fn play() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let program = PathBuf::from(args.next()?);
    match program.file_name()?.to_str()? {
        PAGE | trial::CHILD => Some(ExitCode::SUCCESS),
        trial::HOLDER => Some(trial::hold()),
        INIT => Some(first(program.parent()?)),
        CRAWLER => Some(crawl(program.parent()?)),
        KEEPER => {
            let directory = PathBuf::from(args.next()?);
            let max = args.next()?.to_str()?.parse().ok()?;
            Some(keep(&directory, max))
        }
        _ => None,
    }
}

/// A link by which this executable runs as `name`.
pub fn link(exe: &Path, directory: &Path, name: &str) -> io::Result<PathBuf> {
    let path = directory.join(name);
    std::os::unix::fs::symlink(exe, &path)?;
    Ok(path)
}

/// An init as it should be. It does not help: only a parent can wait for its children.
fn first(directory: &Path) -> ExitCode {
    die_with_the_keeper();
    let crawler = Command::new(directory.join(CRAWLER))
        .arg("https://shop.example/")
        .spawn();
    let Ok(mut crawler) = crawler else {
        return ExitCode::FAILURE;
    };
    let main = nix::unistd::Pid::from_raw(crawler.id().cast_signed());
    while nix::sys::wait::wait().is_ok_and(|status| status.pid() != Some(main)) {}
    let _ = crawler.wait();
    ExitCode::SUCCESS
}

/// Belt and braces: if the keeper is killed, PID 1 goes, and with it the container.
fn die_with_the_keeper() {
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
}

/// Starts a child for each page and drops its handle: `Command::spawn` without `wait`.
fn crawl(directory: &Path) -> ExitCode {
    let page = directory.join(PAGE);
    let mut children = 0_u32;
    let mut told = Instant::now();
    loop {
        let refused = match Command::new(&page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
        {
            Ok(child) => {
                drop(child);
                children += 1;
                false
            }
            Err(_) => true,
        };
        if refused || told.elapsed() > Duration::from_millis(100) {
            told = Instant::now();
            let word = if refused { "eagain" } else { "ok" };
            if writeln!(io::stdout(), "{word} {children}").is_err() {
                return ExitCode::SUCCESS;
            }
        }
        std::thread::sleep(if refused {
            Duration::from_millis(200)
        } else {
            PACE
        });
    }
}

/// Holds the container until standard input closes, which it also does when the demo is killed.
fn keep(directory: &Path, max: u32) -> ExitCode {
    let (mut init, cgroup) = match set_up(directory, max) {
        Ok((mut init, cgroup, limit)) => match only_child(init.id()) {
            Some(crawler) => {
                let _ = writeln!(io::stdout(), "ready {crawler} {limit}");
                (init, cgroup)
            }
            None => {
                let _ = writeln!(io::stdout(), "failed the crawler did not start");
                let _ = init.kill();
                let _ = init.wait();
                return ExitCode::FAILURE;
            }
        },
        Err(why) => {
            let _ = writeln!(io::stdout(), "failed {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut nothing = [0];
    while matches!(io::stdin().read(&mut nothing), Ok(n) if n > 0) {}
    // PID 1 of the namespace takes all others with it.
    let _ = init.kill();
    let _ = init.wait();
    drop(cgroup);
    let _ = std::fs::remove_dir_all(directory);
    ExitCode::SUCCESS
}

/// The one child of `init`, by our number, once it is there.
fn only_child(init: u32) -> Option<u32> {
    let proc = sexton_scan::proc::Proc::open(Path::new("/proc")).ok()?;
    for _ in 0..200 {
        let children = proc.process(init).ok()??.all_children().ok()?;
        if let Some(&[child]) = children.as_deref() {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// Namespaces, a limit, an init and below it the crawler; says which limit it is.
fn set_up(directory: &Path, max: u32) -> Result<(Child, Option<Cgroup>, String), String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    for name in [INIT, CRAWLER, PAGE] {
        link(&exe, directory, name).map_err(|e| e.to_string())?;
    }
    let name = directory
        .file_name()
        .map(|n| n.to_string_lossy().into_owned());
    let cgroup = Cgroup::make(&name.unwrap_or_default(), max);
    // Without root, a user namespace gives the right to make the others.
    let root = rustix::process::geteuid().is_root();
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
    let outcome = if root {
        unshare(flags)
    } else {
        unshare(flags | CloneFlags::CLONE_NEWUSER)
    };
    outcome.map_err(|e| format!("no namespaces for this user ({})", e.desc()))?;
    let mut command = Command::new(directory.join(INIT));
    command.stdin(Stdio::null()).process_group(0);
    let limit = match &cgroup {
        Ok(cgroup) => {
            cgroup.enter().map_err(|e| e.to_string())?;
            "pids.max of its cgroup"
        }
        Err(_) if !root => {
            // Of a user in its own user namespace this counts only what is in there (since
            // Linux 5.14; before, all processes of the user).
            let max = u64::from(max);
            setrlimit(Resource::RLIMIT_NPROC, max, max).map_err(|e| e.to_string())?;
            "RLIMIT_NPROC"
        }
        Err(cause) => return Err(format!("no pids cgroup could be made: {cause}")),
    };
    let child = command.spawn().map_err(|e| e.to_string());
    if let Ok(cgroup) = &cgroup {
        cgroup.leave().map_err(|e| e.to_string())?;
    }
    Ok((child?, cgroup.ok(), limit.to_owned()))
}
