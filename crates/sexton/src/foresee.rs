//! When a limit is reached, for each leak of a report that was watched.

use sexton_core::forecast::History;
use sexton_core::{ProcessId, Report};
use sexton_scan::Scanner;
use sexton_scan::limits::Pass;

use crate::error::Error;

/// Puts forecasts into `report`, of those leaks that have a history.
///
/// # Errors
/// The limits of a holder are there and cannot be read.
pub fn foresee<'h>(
    scanner: &Scanner,
    report: &mut Report,
    history: impl Fn(ProcessId) -> Option<&'h History>,
) -> Result<(), Error> {
    let mut forecasts = Vec::with_capacity(report.leaks.len());
    let limits = Pass::new(scanner, &report.limits);
    for leak in &report.leaks {
        forecasts.push(match history(leak.holder.id) {
            Some(history) => {
                let limits = limits.of(leak.holder.id.pid)?.unwrap_or_default();
                Some(history.forecast(&limits, &leak.ages.starts))
            }
            None => None,
        });
    }
    for (leak, forecast) in report.leaks.iter_mut().zip(forecasts) {
        leak.forecast = forecast;
    }
    Ok(())
}
