//! When a limit is reached, for each leak of a report that was watched.

use sexton_core::forecast::History;
use sexton_core::{ProcessId, Report};
use sexton_scan::Scanner;
use sexton_scan::limits::Pass;

/// Puts forecasts into `report`, of those leaks that have a history. Why the limits of a holder
/// cannot be read is a note on its leak.
pub fn foresee<'h>(
    scanner: &Scanner,
    report: &mut Report,
    history: impl Fn(ProcessId) -> Option<&'h History>,
) {
    let pass = Pass::new(scanner, &report.limits);
    for leak in &mut report.leaks {
        if let Some(history) = history(leak.holder.id) {
            let limits = pass.of_holder(leak);
            leak.forecast = Some(history.forecast(&limits, &leak.ages.starts));
        }
    }
}
