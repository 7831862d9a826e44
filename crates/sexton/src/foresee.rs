//! When a limit is reached, for each leak of a report that was watched.

use std::collections::HashMap;

use sexton_core::forecast::{Growth, History};
use sexton_core::limit::first_of;
use sexton_core::{Leak, Limit, ProcessId, Report};
use sexton_scan::Scanner;
use sexton_scan::limits::Pass;

/// The limit that each holder reaches first.
pub type FirstLimits = HashMap<ProcessId, Limit>;

/// Puts forecasts into `report`, of those leaks that have a history. Why the limits of a holder
/// cannot be read is a note on its leak. `beside` are leaks that are not shown: what they take of
/// the same limits counts all the same.
pub fn foresee<'h>(
    scanner: &Scanner,
    report: &mut Report,
    mut beside: Vec<Leak>,
    history: impl Fn(ProcessId) -> Option<&'h History>,
) -> FirstLimits {
    let mut firsts = FirstLimits::new();
    let pass = Pass::new(scanner, &report.limits);
    let mut growth = Growth::default();
    let mut of = |leak: &mut Leak| {
        let limits = pass.of_holder(leak);
        if let Some(history) = history(leak.holder.id) {
            let own = history.forecast(&limits, &leak.ages.starts);
            growth.add(&limits, own.takes());
        }
        limits
    };
    let limits: Vec<Vec<Limit>> = report.leaks.iter_mut().map(&mut of).collect();
    beside.iter_mut().map(of).for_each(drop);
    for (leak, limits) in report.leaks.iter_mut().zip(limits) {
        let Some(history) = history(leak.holder.id) else {
            continue;
        };
        let starts = &leak.ages.starts;
        let own = history.forecast(&limits, starts).takes();
        let others = |limit: &Limit| growth.beside(limit, own);
        leak.forecast = Some(history.forecast_beside(&limits, starts, others));
        firsts.extend(first_of(&limits).map(|first| (leak.holder.id, first.clone())));
    }
    firsts
}

/// Without a forecast.
pub fn first_limits(scanner: &Scanner, report: &mut Report) -> FirstLimits {
    let pass = Pass::new(scanner, &report.limits);
    let of = |leak: &mut Leak| Some((leak.holder.id, first_of(&pass.of_holder(leak))?.clone()));
    report.leaks.iter_mut().filter_map(of).collect()
}
