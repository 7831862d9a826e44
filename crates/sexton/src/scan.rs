//! `sexton scan`: one look at the node, or one after another.

mod view;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sexton_core::forecast::History;
use sexton_core::text::leak::place;
use sexton_core::{Leak, Limit, ProcessId, Report};
use sexton_scan::Scanner;

use crate::cli::{self, ScanOutput, SortLeaks};
use crate::error::Error;
use crate::foresee::{FirstLimits, first_limits, foresee};
use crate::node::{Roots, scanner};
use crate::output::{self, progress::during};
use crate::reached::reached;
use crate::target::{self, Meant, Target};
use view::{View, draw};

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Scan, paths: Roots) -> Result<ExitCode, Error> {
    let cli::Scan {
        target,
        pid,
        container,
        pod,
        min,
        top,
        sort,
        full,
        watch,
        interval,
        count,
        output,
    } = args;
    let named = target.map(|target| target.parse()).transpose()?;
    let options = Target::of_options(pid, container, pod);
    let mut filter = Filter {
        targets: named.into_iter().chain(options).collect(),
        meant: vec![],
        min,
        top,
        sort,
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
    let mut report = look(&mut scanner, &options, &mut filter)?;
    let is_table = matches!(output, ScanOutput::Table | ScanOutput::Wide);
    let firsts = if is_table || sort == SortLeaks::Limit {
        first_limits(&scanner, &mut report)
    } else {
        FirstLimits::new()
    };
    let more = filter.order(&mut report, &firsts);
    match output {
        ScanOutput::Json => output::json(&report)?,
        ScanOutput::Name => names(&report)?,
        ScanOutput::Table | ScanOutput::Wide => {
            let mut out = output::stdout();
            let view = View::of(output, false);
            draw(&mut out, &report, &firsts, view, &filter.place(), more)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::from(u8::from(report.zombies > 0)))
}

/// Which leaks a person wants to see: those of all targets.
struct Filter {
    targets: Vec<Target>,
    /// What they meant at the last look.
    meant: Vec<Meant>,
    min: u64,
    top: Option<usize>,
    sort: SortLeaks,
}

impl Filter {
    /// Looks up what the targets mean now. What was there once may be gone at a later look.
    fn resolve(&mut self, scanner: &mut Scanner, report: &Report) -> Result<(), Error> {
        let meant = self
            .targets
            .iter()
            .map(|target| Meant::all(scanner, target, Some(report)));
        match meant.collect() {
            Ok(meant) => self.meant = meant,
            Err(Error::NoSuchTarget(_)) if !self.meant.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Sorts the leaks, and leaves only the first of them. How many it takes away.
    fn order(&self, report: &mut Report, firsts: &FirstLimits) -> usize {
        let leaks = &mut report.leaks;
        let left = |leak: &Leak| firsts.get(&leak.holder.id).and_then(Limit::headroom);
        // Stable: the report comes with the most zombies first.
        match self.sort {
            SortLeaks::Zombies => {}
            SortLeaks::Oldest => leaks.sort_by_key(|leak| Reverse(leak.ages.oldest_seconds)),
            SortLeaks::Limit => leaks.sort_by_key(|leak| left(leak).unwrap_or(u64::MAX)),
            SortLeaks::Container => leaks.sort_by_cached_key(|leak| place(leak.container.as_ref())),
            SortLeaks::Command => leaks.sort_by(|a, b| a.holder.name.cmp(&b.holder.name)),
        }
        let before = leaks.len();
        leaks.truncate(self.top.unwrap_or(before));
        before - leaks.len()
    }

    /// What it lets through: `in pod shop/checkout`; empty where that is everything.
    fn place(&self) -> String {
        let places: Vec<String> = self.meant.iter().map(Meant::place).collect();
        places.join(" ")
    }
}

/// One scan, with only the leaks that were asked for.
fn look(
    scanner: &mut Scanner,
    options: &sexton_scan::Options,
    filter: &mut Filter,
) -> Result<Report, Error> {
    let mut report = scanner.scan(options)?;
    filter.resolve(scanner, &report)?;
    target::keep(scanner, &mut report, &mut filter.meant)?;
    report.retain(|leak| leak.zombies >= filter.min);
    report.reached = reached(scanner, &filter.meant)?;
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
            let (mut report, firsts) = during("Looking at the node", || self.look(began))?;
            let more = self.filter.order(&mut report, &firsts);
            match self.output {
                ScanOutput::Json => output::json_line(&report)?,
                ScanOutput::Name => names(&report)?,
                ScanOutput::Table | ScanOutput::Wide => {
                    let mut screen = vec![];
                    let view = View::of(self.output, true);
                    let place = self.filter.place();
                    draw(&mut screen, &report, &firsts, view, &place, more)?;
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

    fn look(&mut self, began: Instant) -> Result<(Report, FirstLimits), Error> {
        let mut report = look(&mut self.scanner, &self.options, &mut self.filter)?;
        let firsts = self.forecast(&mut report, began.elapsed());
        Ok((report, firsts))
    }

    fn forecast(&mut self, report: &mut Report, at: Duration) -> FirstLimits {
        let there: HashSet<ProcessId> = report.leaks.iter().map(|leak| leak.holder.id).collect();
        self.histories.retain(|id, _| there.contains(id));
        for leak in &report.leaks {
            let history = self.histories.entry(leak.holder.id).or_default();
            history.push(at, leak.zombies);
        }
        foresee(&self.scanner, report, vec![], |id| self.histories.get(&id))
    }
}
