//! When a limit is reached, for each leak of a report that was watched.

use std::collections::HashMap;

use sexton_core::forecast::History;
use sexton_core::limit::first_of;
use sexton_core::{Leak, Limit, ProcessId, Report};
use sexton_scan::Scanner;
use sexton_scan::limits::Pass;

/// The limit that each holder reaches first.
pub type FirstLimits = HashMap<ProcessId, Limit>;

/// Puts forecasts into `report`, of those leaks that have a history. Why the limits of a holder
/// cannot be read is a note on its leak.
pub fn foresee<'h>(
    scanner: &Scanner,
    report: &mut Report,
    history: impl Fn(ProcessId) -> Option<&'h History>,
) -> FirstLimits {
    let mut firsts = FirstLimits::new();
    let pass = Pass::new(scanner, &report.limits);
    for leak in &mut report.leaks {
        if let Some(history) = history(leak.holder.id) {
            let limits = pass.of_holder(leak);
            leak.forecast = Some(history.forecast(&limits, &leak.ages.starts));
            firsts.extend(first_of(&limits).map(|first| (leak.holder.id, first.clone())));
        }
    }
    firsts
}

/// Without a forecast.
pub fn first_limits(scanner: &Scanner, report: &mut Report) -> FirstLimits {
    let pass = Pass::new(scanner, &report.limits);
    let of = |leak: &mut Leak| Some((leak.holder.id, first_of(&pass.of_holder(leak))?.clone()));
    report.leaks.iter_mut().filter_map(of).collect()
}
