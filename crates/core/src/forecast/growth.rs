//! How fast all leaks together take of each limit.

use std::collections::HashMap;

use super::{Forecast, Trend};
use crate::{Confidence, Limit, LimitKind};

/// How fast all leaks together take of each limit.
#[derive(Clone, Debug, Default)]
pub struct Growth(HashMap<(LimitKind, String), f64>);

impl Growth {
    /// One more leak, which takes so many a second of these.
    pub fn add(&mut self, limits: &[Limit], rate: f64) {
        if rate > 0.0 {
            for limit in limits {
                *self.0.entry(key(limit)).or_default() += rate;
            }
        }
    }

    /// What the others take of it, where the `own` rate was added, too.
    #[must_use]
    pub fn beside(&self, limit: &Limit, own: f64) -> f64 {
        // A sum less one of its parts may be nothing but rounding.
        const ROUNDING: f64 = 1e-6;
        let all = self.0.get(&key(limit)).copied().unwrap_or(0.0);
        let others = all - own;
        if others < ROUNDING { 0.0 } else { others }
    }
}

/// Several holders have the same limit where kind and scope are the same.
fn key(limit: &Limit) -> (LimitKind, String) {
    (limit.kind, limit.scope.clone())
}

impl Forecast {
    /// What it takes of its limits a second; nothing where it is not sure to grow, or is held.
    #[must_use]
    pub fn takes(&self) -> f64 {
        match self.trend {
            Trend::Growing if self.confidence > Confidence::Low => self.rate_per_second,
            _ => 0.0,
        }
    }
}
