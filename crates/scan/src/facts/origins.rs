//! Did the holder start its zombies, or was it given them?
//!
//! The kernel keeps no record of a process's first parent. Some things tell all the same:
//! - `fork` puts a child on the list of the thread that called it, and orphans go to the main
//!   thread of whoever takes them over (kernel/exit.c, `find_new_reaper`). So what stands on
//!   another thread's list was started by it.
//! - Sessions and process groups are inherited. A session that is neither the holder's nor led
//!   by the zombie itself came from a process between the two.
//! - What a PID 1 that has never waited is given was started by a child of its own, which is
//!   then alive or a zombie too. With no such child alive that is older than the zombies, some
//!   of them are its own.
//! - Who is neither PID 1 of its PID namespace nor a subreaper is given no orphans.

use sexton_core::cause::{Origins, Session, is_init};
use sexton_core::report::Exit;
use sexton_core::{Leak, State};

use super::namespace::LiveChild;
use crate::notes::Notes;
use crate::proc::{Process, Stat};
use crate::{Error, Scanner};

/// Zombies looked at, spread evenly over all.
const MAX_INSPECTED: usize = 400;

/// SIGKILL (`signal(7)`).
const SIGKILL: u8 = 9;

/// What else bears on the question.
pub(super) struct Circumstances {
    /// The holder is a shell: those put children in each other's process groups.
    pub(super) job_control: bool,
    /// The holder has waited for no child that it started.
    pub(super) never_waited: bool,
    /// The holder's live children, where known.
    pub(super) live_children: Option<Vec<LiveChild>>,
}

pub(super) fn judge(
    scanner: &mut Scanner,
    process: &Process,
    holder: &Stat,
    leak: &Leak,
    circumstances: &Circumstances,
    notes: &mut Notes,
) -> Result<Origins, Error> {
    let zombies = sample(scanner, process, holder, notes)?;
    let parent_session = notes
        .take(scanner.proc.stat(holder.parent, &mut Vec::new()))
        .map(|parent| parent.session);
    let view = View {
        holder,
        adopts: leak.holder.namespace_init || leak.holder.subreaper || is_known_subreaper(leak),
        parent_session,
        job_control: circumstances.job_control,
        alone_until: alone_until(leak, circumstances),
    };
    let mut counts = Counts::default();
    for (zombie, by_other_thread) in &zombies {
        counts.add(view.sign(zombie, *by_other_thread));
    }
    counts.doubt();
    let half = |count: usize| count > 0 && count >= zombies.len().div_ceil(2);
    let same_name = zombies
        .iter()
        .filter(|(z, _)| z.comm == holder.comm)
        .count();
    let killed = zombies
        .iter()
        .filter(|(z, _)| z.exit() == Some(Exit::Signal(SIGKILL)))
        .count();
    Ok(Origins {
        direct: sum([counts.other_thread, counts.cannot_adopt, counts.alone]),
        adopted: sum([counts.session, counts.group, counts.older]),
        unknown: counts.untold,
        session: common_session(scanner, holder, &zombies, notes),
        same_name: half(same_name),
        killed: half(killed),
        evidence: counts.evidence(holder.pid, zombies.len()),
    })
}

/// What tells where one zombie came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// On the list of a thread that is not the main one: started.
    OtherThread,
    /// The holder is given no orphans: started.
    CannotAdopt,
    /// In a session from a process between: given.
    Session,
    /// In a process group from a process between: given.
    Group,
    /// Started before the holder: given.
    Older,
    /// No other process is there that could have started it: some, if not all, are started.
    Alone,
    /// Nothing.
    Untold,
}

struct View<'a> {
    holder: &'a Stat,
    adopts: bool,
    parent_session: Option<u32>,
    job_control: bool,
    /// Nobody but the holder can have begun what was started before this time, in ticks.
    alone_until: u64,
}

impl View<'_> {
    fn sign(&self, zombie: &Stat, by_other_thread: bool) -> Sign {
        let holder = self.holder;
        // A holder that leads its session was in its parent's before it called setsid, and may
        // have forked there.
        let foreign_session = zombie.session != 0
            && zombie.session != holder.session
            && zombie.session != zombie.pid
            && Some(zombie.session) != self.parent_session;
        let foreign_group = zombie.process_group != 0
            && zombie.process_group != holder.process_group
            && zombie.process_group != zombie.pid
            && !self.job_control;
        if by_other_thread {
            Sign::OtherThread
        } else if zombie.start_ticks < holder.start_ticks {
            Sign::Older
        } else if foreign_session {
            Sign::Session
        } else if foreign_group && self.adopts {
            Sign::Group
        } else if !self.adopts {
            Sign::CannotAdopt
        } else if zombie.start_ticks < self.alone_until && zombie.session == holder.session {
            Sign::Alone
        } else {
            Sign::Untold
        }
    }
}

#[derive(Default)]
struct Counts {
    other_thread: u64,
    cannot_adopt: u64,
    session: u64,
    group: u64,
    older: u64,
    alone: u64,
    untold: u64,
}

impl Counts {
    fn add(&mut self, sign: Sign) {
        let count = match sign {
            Sign::OtherThread => &mut self.other_thread,
            Sign::CannotAdopt => &mut self.cannot_adopt,
            Sign::Session => &mut self.session,
            Sign::Group => &mut self.group,
            Sign::Older => &mut self.older,
            Sign::Alone => &mut self.alone,
            Sign::Untold => &mut self.untold,
        };
        *count = count.saturating_add(1);
    }

    /// A child that is alive and older than more than a few of the zombies may have started
    /// those, and then being alone for a while tells nothing of the leak.
    fn doubt(&mut self) {
        if self.untold > (self.alone / 10).saturating_add(1) {
            self.untold = sum([self.untold, std::mem::take(&mut self.alone)]);
        }
    }

    fn evidence(&self, pid: u32, inspected: usize) -> Vec<String> {
        let of = |count: u64| {
            if u64::try_from(inspected) == Ok(count) {
                format!("all {inspected} looked at")
            } else {
                format!("{count} of {inspected} looked at")
            }
        };
        let sentences = [
            (self.other_thread, format!("were forked by it: they are on the lists of threads other than its main one, where orphans never come (/proc/{pid}/task/*/children)")),
            (self.cannot_adopt, format!("are its own children: it is neither PID 1 of its PID namespace nor, as far as anything tells, a subreaper, so orphans do not come to it (NSpid of /proc/{pid}/status)")),
            (self.session, "were started by another process that has ended: they are in a session that neither they nor it lead (field 6 of /proc/ZOMBIE/stat)".to_owned()),
            (self.group, "were started by another process that has ended: they are in a process group that neither they nor it lead (field 5 of /proc/ZOMBIE/stat)".to_owned()),
            (self.older, "are older than it, so another process started them (field 22 of /proc/ZOMBIE/stat)".to_owned()),
            (
                self.alone,
                format!("share its session and group, and as it has never waited, and no other child of it lives that is older, it started some of them if not all (field 11 of /proc/{pid}/stat)"),
            ),
            (self.untold, "may be its own or orphans: neither session nor group tells, and the kernel keeps no record of a first parent".to_owned()),
        ];
        sentences
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, text)| format!("Of its zombies {} {text}.", of(count)))
            .collect()
    }
}

/// Where the holder has never waited, every child that it started is alive or among the zombies.
/// Those alive that bear other names than the zombies may have started some, but none that is
/// older than themselves. Between fork and exec each child is such a one, for a moment.
fn alone_until(leak: &Leak, circumstances: &Circumstances) -> u64 {
    let is_stranger = |child: &&LiveChild| leak.commands.iter().all(|c| c.name != child.name);
    match &circumstances.live_children {
        Some(live) if circumstances.never_waited => {
            let strangers = live.iter().filter(is_stranger);
            strangers
                .map(|child| child.start_ticks)
                .min()
                .unwrap_or(u64::MAX)
        }
        _ => 0,
    }
}

/// Subreapers that are known by name; the kernel shows the attribute nowhere.
fn is_known_subreaper(leak: &Leak) -> bool {
    let holder = &leak.holder;
    let name = holder
        .executable
        .as_deref()
        .map_or(holder.name.as_str(), |path| {
            path.rsplit('/').next().unwrap_or(path)
        });
    is_init(name) || name.starts_with("containerd-shim") || name.starts_with("conmon")
}

/// Zombies of the holder, and whether each stands on the list of a thread that is not the main
/// one. Without such lists (no CONFIG_PROC_CHILDREN) every process may be one.
fn sample(
    scanner: &mut Scanner,
    process: &Process,
    holder: &Stat,
    notes: &mut Notes,
) -> Result<Vec<(Stat, bool)>, Error> {
    let mut candidates: Vec<(u32, bool)> = Vec::new();
    let mut listed = false;
    for tid in notes.take(process.tasks()).unwrap_or_default() {
        if let Some(children) = notes.take(process.children(tid)) {
            listed = true;
            candidates.extend(children.into_iter().map(|child| (child, tid != holder.pid)));
        }
    }
    if !listed {
        candidates.extend(scanner.proc().pids()?.into_iter().map(|pid| (pid, false)));
    }
    // When the main thread has ended, others take orphans over.
    let main_thread_lives = holder.state != State::Zombie;
    let step = if listed {
        candidates.len().div_ceil(MAX_INSPECTED).max(1)
    } else {
        1
    };
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    for (pid, other) in candidates.into_iter().step_by(step) {
        let Some(stat) = notes.take(scanner.proc.stat(pid, &mut buffer)) else {
            continue;
        };
        if stat.parent == holder.pid && stat.is_reapable_zombie() {
            found.push((stat, other && main_thread_lives));
        }
    }
    Ok(found)
}

/// Who leads the session of most zombies.
fn common_session(
    scanner: &Scanner,
    holder: &Stat,
    zombies: &[(Stat, bool)],
    notes: &mut Notes,
) -> Session {
    let kinds = [
        Session::Holder,
        Session::Own,
        Session::Ended,
        Session::Other,
    ];
    let mut leader_of = |zombie: &Stat| {
        if zombie.session == holder.session {
            return Session::Holder;
        }
        if zombie.session == zombie.pid {
            return Session::Own;
        }
        let leader = notes.take(scanner.proc.stat(zombie.session, &mut Vec::new()));
        // The number may have gone to another process since.
        let lives = leader.is_some_and(|leader| {
            leader.session == zombie.session && leader.state != State::Zombie
        });
        if lives {
            Session::Other
        } else {
            Session::Ended
        }
    };
    let leaders: Vec<Session> = zombies.iter().map(|(z, _)| leader_of(z)).collect();
    let count = |kind: &Session| leaders.iter().filter(|leader| *leader == kind).count();
    let most = kinds.into_iter().max_by_key(count);
    most.filter(|kind| count(kind) > 0)
        .unwrap_or(Session::Unknown)
}

fn sum<const N: usize>(counts: [u64; N]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process by its pid, group, session and start time.
    fn stat(pid: u32, group: u32, session: u32, start: u64) -> Stat {
        let text = format!(
            "{pid} (x) Z 1 {group} {session} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
        );
        Stat::parse(text.as_bytes()).unwrap()
    }

    fn sign(adopts: bool, job_control: bool, alone_until: u64, zombie: &Stat, other: bool) -> Sign {
        let view = View {
            holder: &stat(100, 100, 100, 50),
            adopts,
            parent_session: Some(7),
            job_control,
            alone_until,
        };
        view.sign(zombie, other)
    }

    #[test]
    fn being_alone_tells_where_it_is_so_of_nearly_all() {
        let alone_of = |alone, untold| {
            let mut counts = Counts {
                alone,
                untold,
                ..Counts::default()
            };
            counts.doubt();
            assert_eq!(counts.alone + counts.untold, alone + untold);
            counts.alone
        };
        assert_eq!(alone_of(1, 1), 1);
        assert_eq!(alone_of(40, 5), 40);
        // A worker that came later than the first zombies, and leaves its own children.
        assert_eq!(alone_of(1, 2), 0);
        assert_eq!(alone_of(3, 500), 0);
    }

    #[test]
    fn each_sign() {
        let plain = stat(200, 100, 100, 60);
        assert_eq!(sign(true, false, 0, &plain, false), Sign::Untold);
        assert_eq!(sign(true, false, u64::MAX, &plain, false), Sign::Alone);
        // Beside a live child that is younger, or as old, or older.
        assert_eq!(sign(true, false, 61, &plain, false), Sign::Alone);
        assert_eq!(sign(true, false, 60, &plain, false), Sign::Untold);
        assert_eq!(sign(true, false, 59, &plain, false), Sign::Untold);
        assert_eq!(sign(true, false, 0, &plain, true), Sign::OtherThread);
        assert_eq!(sign(false, false, 0, &plain, false), Sign::CannotAdopt);

        let older = stat(200, 100, 100, 40);
        assert_eq!(sign(true, false, 0, &older, false), Sign::Older);

        let foreign_session = stat(200, 150, 150, 60);
        assert_eq!(sign(true, false, 0, &foreign_session, false), Sign::Session);
        // It tells of a subreaper, too.
        assert_eq!(
            sign(false, false, 0, &foreign_session, false),
            Sign::Session
        );
        // The holder was in its parent's session before it called setsid.
        let before_setsid = stat(200, 7, 7, 60);
        assert_eq!(
            sign(false, false, 0, &before_setsid, false),
            Sign::CannotAdopt
        );

        // Whoever leads its own session may have been anybody's child.
        let own_session = stat(200, 200, 200, 60);
        assert_eq!(
            sign(true, false, u64::MAX, &own_session, false),
            Sign::Untold
        );

        let foreign_group = stat(200, 150, 100, 60);
        assert_eq!(sign(true, false, 0, &foreign_group, false), Sign::Group);
        // Pipelines of a shell.
        assert_eq!(sign(true, true, 0, &foreign_group, false), Sign::Untold);
    }
}
