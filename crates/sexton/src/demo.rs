//! `sexton demo`: the story on a container of its own, by the real commands.
//!
//! Three actors, all this executable under other names (see [`actor`]): a keeper that makes the
//! container and takes it down again whatever happens, a crawler that starts children and never
//! waits, and the pages it renders.

pub mod actor;
mod cgroup;

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::cli;
use crate::error::Error;
use crate::output::{self, BAD, DIM, GOOD, HEADING, paint};

/// Tasks that the container may have: small enough to be reached while one watches.
const PIDS_MAX: u32 = 300;

/// Runs the demo.
pub fn run(args: &cli::Demo) -> Result<ExitCode, Error> {
    let cli::Demo { fast } = *args;
    let mut stage = Stage::set(!fast && io::stdout().is_terminal())?;
    let pid = stage.pid;
    let target = pid.to_string();

    stage.say(&format!(
        "A container with an init and a crawler in it, pid {pid} here. The crawler starts a child \
         for each page and never waits for one. They may have {PIDS_MAX} tasks ({}).",
        stage.limit
    ))?;
    stage.wait_for(|beat| beat.children >= PIDS_MAX / 4)?;
    stage.sexton(&["scan", "--pid", &target])?;

    stage.say("Why, and when will it stop working?")?;
    stage.sexton(&["explain", &target, "--sample", "3"])?;

    stage.say("Left alone, it runs into its limit.")?;
    let beat = stage.wait_for(|beat| beat.refused)?;
    stage.show(
        BAD,
        &format!(
            "crawler: after {} children: fork: Resource temporarily unavailable",
            beat.children
        ),
    )?;
    stage.sexton(&["limits", "--pid", &target])?;

    stage.say("Without --yes, reap says what it would do and does nothing.")?;
    stage.sexton(&["reap", &target, "--settle", "0"])?;
    stage.sexton(&["reap", &target, "--settle", "0", "--yes"])?;

    let before = beat.children;
    let beat = stage.wait_for(|beat| !beat.refused && beat.children > before + 20)?;
    stage.show(
        GOOD,
        &format!(
            "crawler: {} children, {} since the limit, forking again",
            beat.children,
            beat.children - before
        ),
    )?;
    let same = stage.identity()? == stage.started;
    stage.say(if same {
        "The same process, with the same pid and start time: nothing was restarted."
    } else {
        "The crawler is NOT the process that it was: this should not happen, please report it."
    })?;
    stage.sexton(&["scan", "--pid", &target])?;
    stage.say(
        "It leaks on, of course: the cure is in the explanation above. Taking the container down.",
    )?;
    stage.strike()?;
    Ok(ExitCode::from(u8::from(!same)))
}

/// What the crawler says of itself, several times a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Beat {
    children: u32,
    refused: bool,
}

impl Beat {
    /// `ok 120` or `eagain 299`.
    fn parse(line: &str) -> Option<Self> {
        let (word, children) = line.split_once(' ')?;
        let children = children.trim().parse().ok()?;
        match word {
            "ok" => Some(Self {
                children,
                refused: false,
            }),
            "eagain" => Some(Self {
                children,
                refused: true,
            }),
            _ => None,
        }
    }
}

/// The container and the keeper that will take it down.
struct Stage {
    keeper: Child,
    /// The keeper takes everything down when this end closes, so also when we are killed.
    lifeline: Option<ChildStdin>,
    lines: BufReader<std::process::ChildStdout>,
    directory: PathBuf,
    exe: PathBuf,
    pid: u32,
    limit: String,
    started: u64,
    pauses: bool,
}

impl Stage {
    fn set(pauses: bool) -> Result<Self, Error> {
        let exe = std::env::current_exe()?;
        let directory = std::env::temp_dir().join(format!("sexton-demo-{}", std::process::id()));
        std::fs::create_dir(&directory).map_err(|cause| Error::File {
            path: directory.clone(),
            cause,
        })?;
        let mut keeper = actor::link(&exe, &directory, actor::KEEPER)
            .and_then(|path| {
                Command::new(path)
                    .arg(&directory)
                    .arg(PIDS_MAX.to_string())
                    // A group of its own: Ctrl-C ends the demo, and the closing pipe the keeper.
                    .process_group(0)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
            })
            .inspect_err(|_| {
                let _ = std::fs::remove_dir_all(&directory);
            })?;
        let stdout = keeper
            .stdout
            .take()
            .ok_or_else(|| Error::Demo("no pipe".to_owned()))?;
        let mut stage = Self {
            lifeline: keeper.stdin.take(),
            keeper,
            lines: BufReader::new(stdout),
            directory,
            exe,
            pid: 0,
            limit: String::new(),
            started: 0,
            pauses,
        };
        // `ready PID LIMIT…` or `failed WHY…`
        let first = stage.line()?;
        match first.trim_end().split_once(' ') {
            Some(("ready", rest)) => {
                let (pid, limit) = rest.split_once(' ').unwrap_or((rest, ""));
                stage.pid = pid
                    .parse()
                    .map_err(|_| Error::Demo("the keeper gave no pid".into()))?;
                limit.clone_into(&mut stage.limit);
            }
            Some(("failed", why)) => return Err(Error::Demo(why.to_owned())),
            _ => {
                return Err(Error::Demo(
                    "the keeper ended before the container stood".into(),
                ));
            }
        }
        stage.started = stage.identity()?;
        Ok(stage)
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line)
    }

    /// Reads the crawler's lines until one satisfies `reached`.
    fn wait_for(&mut self, reached: impl Fn(Beat) -> bool) -> Result<Beat, Error> {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Err(Error::Demo("the crawler ended".to_owned()));
            }
            match Beat::parse(&line) {
                Some(beat) if reached(beat) => return Ok(beat),
                _ if Instant::now() > deadline => {
                    return Err(Error::Demo(format!(
                        "the crawler came no further than '{}'",
                        line.trim_end()
                    )));
                }
                _ => {}
            }
        }
    }

    /// The crawler's start time, which with its pid says who it is.
    fn identity(&self) -> Result<u64, Error> {
        let proc = sexton_scan::proc::Proc::open(Path::new("/proc"))?;
        let stat = match proc.process(self.pid)? {
            Some(process) => process.stat()?,
            None => None,
        };
        stat.map(|stat| stat.start_ticks)
            .ok_or_else(|| Error::Demo("the crawler is gone".to_owned()))
    }

    fn say(&self, text: &str) -> Result<(), Error> {
        let mut out = output::stdout();
        writeln!(out)?;
        let width = output::table::terminal_width().min(100);
        for line in output::text::wrap(text, width) {
            writeln!(out, "{}", paint(HEADING, &line))?;
        }
        out.flush()?;
        drop(out);
        self.pause(1_200);
        Ok(())
    }

    fn show(&self, style: anstyle::Style, text: &str) -> Result<(), Error> {
        let mut out = output::stdout();
        writeln!(out, "{}", paint(style, text))?;
        out.flush()?;
        Ok(())
    }

    /// Runs a command of ours as a person would, output and all.
    fn sexton(&self, args: &[&str]) -> Result<(), Error> {
        self.show(DIM, &format!("\n$ sexton {}", args.join(" ")))?;
        self.pause(600);
        let status = Command::new(&self.exe)
            .args(args)
            .stdin(Stdio::null())
            .status()?;
        if status.code().is_none_or(|code| code > 1) {
            return Err(Error::Demo(format!("`sexton {}` failed", args.join(" "))));
        }
        self.pause(1_500);
        Ok(())
    }

    fn pause(&self, millis: u64) {
        if self.pauses {
            std::thread::sleep(Duration::from_millis(millis));
        }
    }

    fn strike(mut self) -> Result<(), Error> {
        self.lifeline = None;
        self.keeper.wait()?;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.lifeline = None;
        let _ = self.keeper.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
