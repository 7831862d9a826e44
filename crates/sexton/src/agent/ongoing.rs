//! Steps that take their time: looked at again and again, never waited for.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::time::Duration;

use sexton_cluster::{End, Evicted};
use sexton_core::{Leak, ProcessId, text};
use sexton_scan::Scanner;

use super::effect::Effect;
use super::ender;
use super::names::{self, Known};
use super::record::Intent;

/// How long the runtime and whoever restarts the container may take after its end. The kubelet's
/// back-off goes up to five minutes; what is later than this counts as not brought back.
const BACK_WITHIN: Duration = Duration::from_secs(270);
/// How long no new zombie may come after an autoreap before it is taken to work. Those that were
/// there before wait for this time, so it is short; if it did not work the leak comes back, and
/// that is seen.
const AUTOREAP_WITHIN: Duration = Duration::from_secs(5);

/// A step whose outcome is still to come.
pub struct Ongoing {
    /// What was written before it.
    pub intent: Intent,
    /// What it waits for.
    pub kind: Kind,
}

/// What a step waits for.
pub enum Kind {
    /// Children of the holder that end from now on have to vanish.
    Autoreap {
        /// Its zombies when it was done.
        before: HashSet<ProcessId>,
    },
    /// The holder has to end, and its zombies with it.
    Terminate,
    /// The container has to end, and another to run in its place.
    Restart {
        /// The old one.
        id: String,
        /// It has ended.
        ended: bool,
        /// What it held.
        zombies: u64,
    },
    /// The pod has to be gone.
    Evict {
        /// Its uid.
        uid: String,
        /// What its holder held.
        zombies: u64,
        /// It has been evicted, and the zombies were still there at that look.
        told: Option<End>,
    },
}

/// What a look shows that an ongoing step may wait for.
pub struct Sight<'a> {
    /// This look's leaks.
    pub leaks: &'a [Leak],
    /// What runs now.
    pub known: &'a Known,
    /// Since boot.
    pub uptime: Duration,
    /// Containers of which the runtime has spoken since the last look.
    pub ended: &'a [names::Ended],
    /// Holders that the thread for it has dealt with since the last look.
    pub terminated: &'a [ender::Ended],
    /// Pods that have been evicted, or could not be, since the last look.
    pub evicted: &'a [Evicted],
}

impl Ongoing {
    /// Looks at it once; `None` while it goes on.
    pub fn poll(&mut self, scanner: &mut Scanner, sight: &Sight<'_>) -> Option<Effect> {
        let since = sight
            .uptime
            .saturating_sub(Duration::from_millis(self.intent.uptime_millis));
        match &mut self.kind {
            Kind::Autoreap { before } => {
                let Ok(now) = scanner.zombies_of(self.intent.holder) else {
                    return None;
                };
                let new = now.iter().filter(|z| !before.contains(&z.id)).count() as u64;
                if new > 0 {
                    let detail = format!(
                        "{} since and still stand",
                        text::plural(new, "child ended", "children ended")
                    );
                    return Some(Effect::measured(new, new, detail));
                }
                (since >= AUTOREAP_WITHIN).then(|| {
                    let detail = "no child that ended since is left".to_owned();
                    Effect::measured(self.intent.zombies, 0, detail)
                })
            }
            Kind::Terminate => {
                let holder = self.intent.holder;
                let told = sight.terminated.iter().find(|told| told.holder == holder)?;
                Some(match &told.result {
                    Ok(Ok(outcome)) => {
                        let left = outcome.zombies.saturating_sub(outcome.gone);
                        Effect::measured(outcome.zombies, left, outcome.end.to_string())
                    }
                    Ok(Err(error)) => Effect::gave_up(error),
                    // To be counted as the holder's, like a panic in this thread.
                    Err(why) => resume_unwind(Box::new(why.clone())),
                })
            }
            Kind::Evict { uid, zombies, told } => {
                let news = sight.evicted.iter();
                let news = news.filter(|evicted| evicted.pod.uid.as_ref() == Some(&*uid));
                let again = told.take();
                let end = again
                    .clone()
                    .or(news.map(|evicted| evicted.end.clone()).next())?;
                let holder = self.intent.holder;
                let there = sight.leaks.iter().find(|leak| leak.holder.id == holder);
                let left = there.map_or(0, |leak| leak.zombies);
                Some(match &end {
                    // What is seen may be older than what is told.
                    End::Gone if left > 0 && again.is_none() => {
                        *told = Some(end);
                        return None;
                    }
                    End::Gone | End::Ending => Effect::measured(*zombies, left, end.to_string()),
                    End::Blocked(_) | End::NotOurTurn(_) | End::Refused(_) => Effect::refused(&end),
                    End::Failed(_) => Effect::failed(&end),
                })
            }
            Kind::Restart { id, ended, zombies } => {
                if let Some(told) = sight.ended.iter().find(|told| told.id == *id) {
                    match &told.result {
                        Ok(()) => *ended = true,
                        Err(why) => return Some(Effect::failed(why)),
                    }
                }
                let place = self.intent.place.as_deref();
                let successor = ended
                    .then(|| {
                        sight.known.values().find(|workload| {
                            workload.id != *id && place == Some(workload.place().as_str())
                        })
                    })
                    .flatten();
                if let Some(workload) = successor {
                    let left = sight
                        .leaks
                        .iter()
                        .filter(|leak| leak.container.as_ref().is_some_and(|c| c.id == *id))
                        .map(|leak| leak.zombies)
                        .sum();
                    let detail = format!(
                        "restarted as {}",
                        sexton_core::text::short_ids(&workload.id)
                    );
                    return Some(Effect {
                        new_container: Some(workload.id.clone()),
                        ..Effect::measured(*zombies, left, detail)
                    });
                }
                (since >= BACK_WITHIN).then(|| {
                    Effect::failed(if *ended {
                        "it has ended, and nothing runs in its place"
                    } else {
                        "it has not ended"
                    })
                })
            }
        }
    }
}
