//! Every limit of the machine that several tasks share, without knowing where to look.

use std::collections::HashMap;

use sexton_core::Limit;
use sexton_core::limit::mark_first;

use super::census::Census;
use super::levels::{self, Hierarchy};
use super::nproc::{Ids, Nproc};
use super::users::Users;
use crate::{Error, Scanner};

/// The limits of the machine, with those who fill them.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn of_machine(scanner: &Scanner) -> Result<Vec<Limit>, Error> {
    let census = Census::take(scanner.proc())?;
    Ok(machine(scanner, &census, &mut Users::new(scanner)))
}

/// Every limit of the machine, of a cgroup or of a user of which at least `percent` are used,
/// fullest first, with those who fill it.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn of_all(scanner: &Scanner, percent: u8) -> Result<Vec<Limit>, Error> {
    let census = Census::take(scanner.proc())?;
    let mut users = Users::new(scanner);
    let mut limits = machine(scanner, &census, &mut users);
    limits.extend(of_users(scanner, &census, &mut users));
    limits.retain(|limit| limit.used_percent() >= Some(percent));
    limits.extend(cgroups(scanner, percent, &mut users));
    fullest_first(&mut limits);
    mark_first(&mut limits);
    Ok(limits)
}

/// Those of cgroups alone, which cost a walk of their tree and no look at any process but those
/// of the cgroups that are told.
#[must_use]
pub fn of_cgroups(scanner: &Scanner, percent: u8) -> Vec<Limit> {
    let mut limits = cgroups(scanner, percent, &mut Users::new(scanner));
    fullest_first(&mut limits);
    mark_first(&mut limits);
    limits
}

fn fullest_first(limits: &mut [Limit]) {
    limits.sort_by_cached_key(|limit| {
        let percent = limit.used_percent().unwrap_or(0);
        let reversed = std::cmp::Reverse(percent);
        (reversed, limit.headroom(), limit.scope.clone())
    });
}

fn machine(scanner: &Scanner, census: &Census, users: &mut Users) -> Vec<Limit> {
    let proc = scanner.proc();
    let mut limits = Vec::with_capacity(2);
    limits.extend(super::threads_max(proc, census.zombies()));
    limits.extend(super::pid_max(proc, census.zombies(), Some(census)));
    let all = users.of(&census.tasks());
    for limit in &mut limits {
        limit.users.clone_from(&all);
    }
    mark_first(&mut limits);
    limits
}

fn cgroups(scanner: &Scanner, percent: u8, users: &mut Users) -> Vec<Limit> {
    let Some(hierarchy) = Hierarchy::of(scanner) else {
        return Vec::new();
    };
    let all = hierarchy.directories(hierarchy.root()).unwrap_or_default();
    let full = all
        .iter()
        .filter(|directory| levels::used_percent(directory).is_some_and(|used| used >= percent));
    full.filter_map(|directory| {
        let limit = hierarchy.level(scanner, directory, users);
        (limit.used_percent()? >= percent).then_some(limit)
    })
    .collect()
}

/// `RLIMIT_NPROC` of each user: that of the process of his that has the least.
fn of_users(scanner: &Scanner, census: &Census, users: &mut Users) -> Vec<Limit> {
    let proc = scanner.proc();
    let ids = Ids::read(proc);
    let mut tightest: HashMap<(u32, Option<u64>), Nproc> = HashMap::new();
    for pid in census.living() {
        let Ok(Some(process)) = proc.process(pid) else {
            continue;
        };
        let Ok(Some(status)) = process.status() else {
            continue;
        };
        let Some(Ok(nproc)) = Nproc::read(&process, &status, &ids, None) else {
            continue;
        };
        let least = tightest.get(&nproc.user()).and_then(Nproc::binds);
        if nproc
            .binds()
            .is_some_and(|own| least.is_none_or(|least| own < least))
        {
            tightest.insert(nproc.user(), nproc);
        }
    }
    let limits = tightest.into_values().filter_map(|nproc| {
        let process = proc.process(nproc.pid()).ok()??;
        Some(super::of_user(census, proc, &process, &nproc, users))
    });
    limits.collect()
}
