//! `sexton audit`: which containers will end on their stop signal, and which will not.

mod prove;
mod view;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use sexton_core::audit::{Facts, Mark, Probe, judge};
use sexton_core::{Container, ExitSignal, Report, Workload};
use sexton_runtime::Runtimes;
use sexton_scan::{Scanner, audit};

pub use prove::Proof;

use crate::cli::{self, AuditOutput, AuditVerdict};
use crate::error::Error;
use crate::node::{Roots, scanner};
use crate::output;
use crate::target::{Meant, Target};

/// Runs the command; see its `--help` for the exit status.
pub fn run(args: cli::Audit, paths: Roots) -> Result<ExitCode, Error> {
    let cli::Audit {
        target,
        container,
        pod,
        verdict,
        probes,
        output,
        prove,
    } = args;
    let target: Option<Target> = target.map(|target| target.parse()).transpose()?;
    let mut scanner = scanner(paths)?;
    let filter = Filter::of(
        &mut scanner,
        target,
        Target::of_options(None, container, pod),
    )?;
    let (workloads, silent) = ask_runtimes(&scanner.roots().host);
    let wanted = |container: &Container, pids: &[u32]| filter.admits(Some(container), pids);
    // Their zombies are counted when the scan has been made.
    let seen: RefCell<HashMap<String, Vec<Probe>>> = RefCell::default();
    let judge = |facts: &Facts| {
        let id = facts.container.id.clone();
        seen.borrow_mut().insert(id, facts.probes.clone());
        judge(facts)
    };
    let probes = probes.unwrap_or_default().0;
    let mut found = audit::containers_as(&mut scanner, &workloads, &probes, wanted, judge)?;
    found.notes.extend(silent);
    if found.exit_signals.is_empty()
        && let Some(target) = &filter.target
    {
        return Err(not_audited(target));
    }
    if prove.prove {
        return prove::run(&mut scanner, found.exit_signals, &prove, output);
    }
    let mut report = scanner.scan(&sexton_scan::Options::default())?;
    report.retain(|leak| filter.admits(leak.container.as_ref(), &[leak.holder.id.pid]));
    count_zombies(&mut found.exit_signals, &seen.into_inner(), &report);
    report.exit_signals = found.exit_signals;
    report
        .exit_signals
        .retain(|found| verdict.is_empty() || verdict.contains(&asked(found.mark())));
    report.notes.extend(found.notes);
    for (fact, count) in found.unreadable_facts {
        let sum = report.scan.unreadable_facts.entry(fact).or_default();
        *sum = sum.saturating_add(count);
    }
    let all_end = report.exit_signals.iter().all(|f| f.mark() == Mark::Ends);
    let status = ExitCode::from(u8::from(!all_end));
    match draw(&report, output, filter.target.is_some()) {
        // `audit | head`: what was found is told by the exit status all the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(status),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(status),
    }
}

/// What each exec probe has left.
fn count_zombies(found: &mut [ExitSignal], seen: &HashMap<String, Vec<Probe>>, report: &Report) {
    for found in found {
        let id = &found.container.id;
        let is_its = |container: &Container| container.id == *id;
        let leaks = report.leaks.iter();
        let leaks = leaks.filter(|leak| leak.container.as_ref().is_some_and(is_its));
        let counted = leaks.flat_map(|leak| {
            let probes = seen.get(id).into_iter().flatten();
            probes.filter_map(|probe| probe.zombies_an_hour(leak))
        });
        found.probes.extend(counted);
    }
}

fn draw(report: &Report, output: AuditOutput, in_full: bool) -> io::Result<()> {
    match output {
        AuditOutput::Json => output::json(report),
        AuditOutput::Name => {
            let mut out = output::stdout();
            for found in &report.exit_signals {
                writeln!(out, "{}", output::text::safe(&found.container.id))?;
            }
            out.flush()
        }
        AuditOutput::Table if in_full => view::details(report),
        AuditOutput::Table | AuditOutput::Wide => view::table(report, output == AuditOutput::Wide),
    }
}

/// What the runtimes of the node tell of their containers, and which of them do not answer.
fn ask_runtimes(host: &Path) -> (Vec<Workload>, Vec<String>) {
    let mut runtimes = Runtimes::find(host, &[]);
    runtimes.refresh();
    let workloads = runtimes.workloads().cloned().collect();
    let silent = runtimes.notes().map(|(name, error)| {
        format!("{name} does not tell its stop signals, so files on the node have to: {error}")
    });
    (workloads, silent.collect())
}

/// Which containers a person wants to see.
struct Filter {
    /// The one to be told of in full.
    target: Option<Meant>,
    /// What the options fit.
    options: Vec<Meant>,
}

impl Filter {
    fn of(
        scanner: &mut Scanner,
        target: Option<Target>,
        options: impl Iterator<Item = Target>,
    ) -> Result<Self, Error> {
        Ok(Self {
            target: match target {
                Some(target) => Some(Meant::one(scanner, &target, None)?),
                None => None,
            },
            options: options
                .map(|target| Meant::all(scanner, &target, None))
                .collect::<Result<_, _>>()?,
        })
    }

    fn admits(&self, place: Option<&Container>, pids: &[u32]) -> bool {
        let mut all = self.target.iter().chain(&self.options);
        all.all(|meant| place.is_some_and(|place| meant.is(place, pids)))
    }
}

/// It is there, but no container that can be audited.
fn not_audited(target: &Meant) -> Error {
    Error::NoSuchTarget(match target.pid() {
        Some(pid) => {
            format!("process {pid} is not a living process of a container that a runtime made")
        }
        None => format!("{} was not made by a container runtime", target.subject()),
    })
}

fn asked(mark: Mark) -> AuditVerdict {
    match mark {
        Mark::Killed => AuditVerdict::Killed,
        Mark::EndsUnheard => AuditVerdict::Unheard,
        Mark::Unknown => AuditVerdict::Unknown,
        Mark::Ends => AuditVerdict::Ends,
    }
}
