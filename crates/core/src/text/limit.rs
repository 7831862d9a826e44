//! A limit in words. Nothing here is made safe for a terminal or a page.

use crate::{Limit, LimitUser};

use super::{count, short_ids};

/// `pids.max of cgroup /docker/3f2a9c1b7d6e`.
#[must_use]
pub fn name(limit: &Limit) -> String {
    format!("{} of {}", limit.kind.name(), short_ids(&limit.scope))
}

/// What a limit that is reached means; what fills it, where that is known.
#[must_use]
pub fn reached(limit: &Limit) -> String {
    let what = name(limit);
    let fails = if limit.kind.threads_only() {
        "no thread can be started; pthread_create fails with EAGAIN"
    } else {
        "fork fails with EAGAIN"
    };
    format!("Reached: {what}: {fails}, \"Resource temporarily unavailable\".")
}

/// `60 of 60, 0 of them zombies: docker web 60`.
#[must_use]
pub fn filled(limit: &Limit) -> Option<String> {
    let mut text = format!("{} of {}", count(limit.used?), count(limit.limit?));
    if let Some(zombies) = limit.zombies {
        text += &match zombies {
            0 => ", no zombies".to_owned(),
            1 => ", 1 of them a zombie".to_owned(),
            zombies => format!(", {} of them zombies", count(zombies)),
        };
    }
    if !limit.users.is_empty() {
        text += &format!(": {}", users(&limit.users));
    }
    Some(text)
}

/// `docker web1 40, docker web2 40, host 12`.
#[must_use]
pub fn users(users: &[LimitUser]) -> String {
    let all: Vec<String> = users
        .iter()
        .map(|LimitUser { name, used }| format!("{name} {}", count(*used)))
        .collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LimitKind;

    #[test]
    fn who_fills_it_is_told_the_largest_first() {
        let user = |name: &str, used| LimitUser {
            name: name.to_owned(),
            used,
        };
        let mut limit = crate::limit::fixture(LimitKind::CgroupPids, 1_000, 1_000);
        assert_eq!(filled(&limit).as_deref(), Some("1,000 of 1,000"));
        limit.zombies = Some(1);
        limit.users = vec![user("docker web", 900), user("host", 100)];
        assert_eq!(
            filled(&limit).as_deref(),
            Some("1,000 of 1,000, 1 of them a zombie: docker web 900, host 100")
        );
    }
}
