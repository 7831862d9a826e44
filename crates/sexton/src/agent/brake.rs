//! The agent's own brake: however much a hostile node gives it to read, it takes no more than a
//! tenth of a core in the long run, by looking less often.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// For one second of processor time this many pass. A tenth of a core would be ten; what the look in
/// flight has used is not yet rested for, so it is a little more.
const WALL_PER_CPU: u32 = 11;
/// Never longer than this between two looks, whatever they cost.
const LONGEST: Duration = Duration::from_secs(300);

/// What the agent has used, and not yet rested for.
pub struct Brake {
    debt: Duration,
    used: Duration,
    at: Instant,
}

impl Brake {
    /// Counts from now on.
    pub fn new() -> Self {
        Self {
            debt: Duration::ZERO,
            used: used(),
            at: Instant::now(),
        }
    }

    /// A look is over: how long to rest at least before the next.
    pub fn after_look(&mut self) -> Duration {
        let (used, at) = (used(), Instant::now());
        let used_since = used.saturating_sub(self.used);
        self.debt = owed(self.debt, used_since, at.duration_since(self.at));
        (self.used, self.at) = (used, at);
        self.debt
    }
}

/// What is owed after `used` of processor time within `passed`. Rest is not saved up.
fn owed(debt: Duration, used: Duration, passed: Duration) -> Duration {
    let owed = debt.saturating_add(used.saturating_mul(WALL_PER_CPU));
    owed.saturating_sub(passed).min(LONGEST)
}

/// Processor time of all threads of this process.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_quiet_agent_is_not_held_up() {
        // 4 ms every 10 s.
        assert_eq!(owed(ms(0), ms(4), ms(10_000)), ms(0));
    }

    #[test]
    fn what_is_used_at_once_is_rested_for() {
        // The look itself took 2 s of wall time for 2 s of work.
        assert_eq!(owed(ms(0), ms(2_000), ms(2_000)), ms(20_000));
        assert_eq!(owed(ms(0), ms(900_000), ms(0)), LONGEST);
    }

    #[test]
    fn in_the_long_run_it_is_less_than_a_tenth_of_a_core() {
        for look in [ms(1), ms(50), ms(700), ms(3_000)] {
            let (mut debt, mut wall, mut cpu) = (ms(0), ms(0), ms(0));
            let mut pause = ms(0);
            for _ in 0..1_000 {
                // The machine is busy: the look takes twice its work.
                let passed = pause + look * 2;
                debt = owed(debt, look, passed);
                (wall, cpu) = (wall + passed, cpu + look);
                pause = ms(100).max(debt);
            }
            let share = cpu.as_secs_f64() / (wall + pause).as_secs_f64();
            assert!(share <= 0.1, "{look:?}: {share}");
            // And not much less: a look that costs a lot is still made as often as may be.
            assert!(share > 0.09 || look < ms(50), "{look:?}: {share}");
        }
    }
}
