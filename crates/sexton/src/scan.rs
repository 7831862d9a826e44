//! `sexton scan`: one look at the node, or one after another.

mod view;

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sexton_core::forecast::History;
use sexton_core::{Leak, ProcessId, Report};
use sexton_scan::Scanner;

use crate::cli::{self, ScanOutput};
use crate::error::Error;
use crate::foresee::foresee;
use crate::output::{self, progress::during};
use crate::{scanner, target};
use view::{View, draw};

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Scan, paths: cli::Roots) -> Result<ExitCode, Error> {
    let cli::Scan {
        pid,
        container,
        pod,
        min,
        full,
        watch,
        interval,
        count,
        output,
    } = args;
    let filter = Filter {
        pid,
        container,
        pod,
        min,
    };
    let mut scanner = scanner(paths)?;
    let options = sexton_scan::Options {
        full,
        ..Default::default()
    };
    if watch {
        return Watch {
            scanner,
            options,
            filter,
            output,
            histories: HashMap::new(),
        }
        .run(interval, count);
    }
    let report = look(&mut scanner, &options, &filter)?;
    match output {
        ScanOutput::Json => output::json(&report)?,
        ScanOutput::Name => names(&report)?,
        ScanOutput::Table | ScanOutput::Wide => {
            let mut out = output::stdout();
            draw(&mut out, &report, View::of(output, false))?;
            out.flush()?;
        }
    }
    Ok(ExitCode::from(u8::from(report.zombies > 0)))
}

/// Which leaks a person wants to see.
struct Filter {
    pid: Option<u32>,
    container: Option<String>,
    pod: Option<String>,
    min: u64,
}

impl Filter {
    fn admits(&self, leak: &Leak, holder: Option<u32>) -> bool {
        let Self {
            pid,
            container,
            pod,
            min,
        } = self;
        let place = leak.container.as_ref();
        leak.zombies >= *min
            && (pid.is_none() || holder == Some(leak.holder.id.pid))
            && container
                .as_ref()
                .is_none_or(|id| place.is_some_and(|c| target::is_container(c, id)))
            && pod
                .as_ref()
                .is_none_or(|name| place.is_some_and(|c| target::is_pod(c, name)))
    }
}

/// One scan, with only the leaks that were asked for.
fn look(
    scanner: &mut Scanner,
    options: &sexton_scan::Options,
    filter: &Filter,
) -> Result<Report, Error> {
    let mut report = scanner.scan(options)?;
    let holder = match filter.pid {
        Some(pid) => Some(target::holder_of(scanner, pid)?),
        None => None,
    };
    report.retain(|leak| filter.admits(leak, holder));
    Ok(report)
}

fn names(report: &Report) -> io::Result<()> {
    let mut out = output::stdout();
    for leak in &report.leaks {
        writeln!(out, "{}", leak.holder.id.pid)?;
    }
    out.flush()
}

/// One look after another.
struct Watch {
    scanner: Scanner,
    options: sexton_scan::Options,
    filter: Filter,
    output: ScanOutput,
    histories: HashMap<ProcessId, History>,
}

impl Watch {
    fn run(mut self, interval: Duration, count: Option<u64>) -> Result<ExitCode, Error> {
        let redraw = io::stdout().is_terminal();
        let began = Instant::now();
        let mut looks = 0;
        loop {
            let report = during("Looking at the node", || self.look(began))?;
            match self.output {
                ScanOutput::Json => output::json_line(&report)?,
                ScanOutput::Name => names(&report)?,
                ScanOutput::Table | ScanOutput::Wide => {
                    let mut screen = vec![];
                    draw(&mut screen, &report, View::of(self.output, true))?;
                    let mut out = output::stdout();
                    if redraw {
                        // Home, then each line cleared to its end, then all below: no flicker.
                        out.write_all(b"\x1b[H")?;
                        for line in screen.split_inclusive(|&b| b == b'\n') {
                            out.write_all(line.strip_suffix(b"\n").unwrap_or(line))?;
                            out.write_all(b"\x1b[K\n")?;
                        }
                        out.write_all(b"\x1b[J")?;
                    } else {
                        out.write_all(&screen)?;
                        out.write_all(b"\n")?;
                    }
                    out.flush()?;
                }
            }
            looks += 1;
            if count == Some(looks) {
                return Ok(ExitCode::from(u8::from(report.zombies > 0)));
            }
            std::thread::sleep(interval);
        }
    }

    fn look(&mut self, began: Instant) -> Result<Report, Error> {
        let mut report = look(&mut self.scanner, &self.options, &self.filter)?;
        self.forecast(&mut report, began.elapsed());
        Ok(report)
    }

    fn forecast(&mut self, report: &mut Report, at: Duration) {
        let there: HashSet<ProcessId> = report.leaks.iter().map(|leak| leak.holder.id).collect();
        self.histories.retain(|id, _| there.contains(id));
        for leak in &report.leaks {
            let history = self.histories.entry(leak.holder.id).or_default();
            history.push(at, leak.zombies);
        }
        foresee(&self.scanner, report, |id| self.histories.get(&id));
    }
}
