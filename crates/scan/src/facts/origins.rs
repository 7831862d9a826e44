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
//!   of them are its own. The same holds of zombies between whose numbers none is missing
//!   ([`super::numbers`]), whatever the holder has waited for.
//! - A shell without job control starts what ends in `&` with SIGINT and SIGQUIT ignored, and
//!   execve and death keep that. A holder that is no shell and does not ignore them did not
//!   start such a process: it had it before it became this program by exec, or was given it.
//! - Who watched the forks of the holder knows whom it started, and whom it did not.
//! - Who is neither PID 1 of its PID namespace nor a subreaper is given no orphans.

use std::collections::HashSet;

use sexton_core::cause::{Answer, Origins, Session, is_init};
use sexton_core::report::Exit;
use sexton_core::{Leak, State};

use super::namespace::Member;
use super::{Forks, numbers};
use crate::notes::Notes;
use crate::proc::{Process, Stat, Status};
use crate::{Error, Scanner};

/// Zombies looked at, spread evenly over all.
const MAX_INSPECTED: usize = 400;
/// Of the newest, each is looked at.
const NEWEST: usize = 64;

/// SIGKILL (`signal(7)`).
const SIGKILL: u8 = 9;
/// Bits of SIGINT (2) and SIGQUIT (3) in a signal mask: what a shell has its background ignore.
const BACKGROUND: u64 = 0b110;
/// A script may do much before its `exec`; more than this is rare.
const EARLY_SECONDS: u64 = 60;
/// Of so few early zombies nothing tells that no script had them: bash starts what it runs for
/// `<(…)` and `coproc` with SIGINT as it is.
const FEW: usize = 2;

/// What else bears on the question.
pub(super) struct Circumstances<'a> {
    /// The holder is a shell: those put children in each other's process groups, and start
    /// them in the background.
    pub(super) shell: bool,
    /// Whether the holder's program can start processes.
    pub(super) starts_processes: Answer,
    /// The holder has waited for no child that it started.
    pub(super) never_waited: bool,
    /// When the first thread of the holder beside its main one started.
    pub(super) first_thread: Option<u64>,
    /// The live processes of the holder's PID namespace, where known.
    pub(super) members: Option<&'a [Member]>,
    /// What was seen of the holder's forks.
    pub(super) forks: &'a Forks,
}

/// Where the zombies came from, and those that were looked at.
pub(super) struct Judged {
    pub(super) origins: Origins,
    pub(super) zombies: Vec<Stat>,
}

/// A zombie of the sample.
struct Seen {
    stat: Stat,
    /// On the list of a thread that is not the main one.
    other_thread: bool,
    /// A shell started it in the background.
    background: bool,
    /// Its pid in its own namespace.
    number: Option<u32>,
}

pub(super) fn judge(
    scanner: &mut Scanner,
    process: &Process,
    holder: &Stat,
    leak: &Leak,
    circumstances: &Circumstances<'_>,
    notes: &mut Notes,
) -> Result<Judged, Error> {
    let zombies = sample(scanner, process, holder, notes)?;
    let ignores_as_background = notes
        .take(process.status())
        .is_none_or(|status| is_background(&status));
    // What a holder that is a shell, or was started by one in the background, hands down itself.
    let background_tells = !circumstances.shell && !ignores_as_background;
    let numbers = numbers(scanner, &zombies, circumstances, notes)?;
    let parent_session = notes
        .take(scanner.proc.stat(holder.parent, &mut Vec::new()))
        .map(|parent| parent.session);
    let view = View {
        holder,
        adopts: leak.holder.namespace_init || leak.holder.subreaper || is_known_subreaper(leak),
        parent_session,
        shell: circumstances.shell,
        background_tells,
        starts_none: circumstances.starts_processes == Answer::No,
        never_waited: circumstances.never_waited,
        alone_until: alone_until(holder, circumstances),
        forks: circumstances.forks,
        numbers,
    };
    let mut counts = Counts::default();
    for zombie in &zombies {
        counts.add(view.sign(zombie));
    }
    counts.doubt();
    let may_be_inherited = sum([
        counts.cannot_adopt,
        counts.alone,
        counts.in_a_row,
        counts.background,
    ]) > 0;
    let early = may_be_inherited && early(holder, &zombies, circumstances, background_tells);
    let half = |count: usize| count > 0 && count >= zombies.len().div_ceil(2);
    let same_name = zombies
        .iter()
        .filter(|zombie| zombie.stat.comm == holder.comm)
        .count();
    let killed = zombies
        .iter()
        .filter(|zombie| zombie.stat.exit() == Some(Exit::Signal(SIGKILL)))
        .count();
    let origins = Origins {
        direct: sum([
            counts.seen,
            counts.other_thread,
            counts.cannot_adopt,
            counts.alone,
            counts.in_a_row,
        ]),
        adopted: sum([
            counts.not_seen,
            counts.session,
            counts.group,
            counts.older,
            counts.background,
        ]),
        inherited: counts.before_exec,
        early: early && counts.before_exec == 0,
        unknown: counts.untold,
        session: common_session(scanner, holder, &zombies, notes),
        same_name: half(same_name),
        killed: half(killed),
        evidence: counts.evidence(holder.pid, zombies.len()),
    };
    let zombies = zombies.into_iter().map(|zombie| zombie.stat).collect();
    Ok(Judged { origins, zombies })
}

/// What tells where one zombie came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// Its birth was seen: started.
    Seen,
    /// All births were seen, and this was none: given.
    NotSeen,
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
    /// No parent of its own can have come and gone: some, if not all, are started.
    InARow,
    /// A shell started it in the background, and the holder takes orphans over.
    Background,
    /// The holder had it before it became this program.
    BeforeExec,
    /// Nothing.
    Untold,
}

struct View<'a> {
    holder: &'a Stat,
    adopts: bool,
    parent_session: Option<u32>,
    shell: bool,
    /// A zombie that bears the mark of a shell's background was not started by the holder.
    background_tells: bool,
    /// The holder's program starts no processes.
    starts_none: bool,
    never_waited: bool,
    /// No other process that lives can have left behind what was started before this time.
    alone_until: u64,
    forks: &'a Forks,
    numbers: Numbers,
}

impl View<'_> {
    fn sign(&self, seen: &Seen) -> Sign {
        let (holder, zombie) = (self.holder, &seen.stat);
        // A holder that leads its session was in its parent's before it called setsid, and may
        // have forked there.
        let foreign_session = zombie.session != 0
            && zombie.session != holder.session
            && zombie.session != zombie.pid
            && Some(zombie.session) != self.parent_session;
        let foreign_group = zombie.process_group != 0
            && zombie.process_group != holder.process_group
            && zombie.process_group != zombie.pid
            && !self.shell;
        let by_a_shell = seen.background && self.background_tells;
        let alone = zombie.start_ticks < self.alone_until;
        let own_session = zombie.session == holder.session || zombie.session == zombie.pid;
        let is_among = |set: &HashSet<u32>| seen.number.is_some_and(|number| set.contains(&number));
        let in_a_row = is_among(&self.numbers.row);
        // Its parent is there to be seen, and none that lives but the holder can be it.
        let parent_is_holder = alone
            && (is_among(&self.numbers.complete)
                || self.never_waited && zombie.session == holder.session);
        if self.forks.born.contains(&zombie.id()) {
            Sign::Seen
        } else if self.forks.whole.contains(&zombie.start_ticks) {
            Sign::NotSeen
        } else if seen.other_thread {
            Sign::OtherThread
        } else if zombie.start_ticks < holder.start_ticks {
            Sign::Older
        } else if foreign_session {
            Sign::Session
        } else if foreign_group && self.adopts {
            Sign::Group
        } else if !self.adopts && (by_a_shell || self.starts_none) {
            Sign::BeforeExec
        } else if !self.adopts {
            Sign::CannotAdopt
        } else if by_a_shell || self.starts_none {
            // The holder is their parent, whatever program it was then.
            if parent_is_holder {
                Sign::BeforeExec
            } else {
                Sign::Background
            }
        } else if alone && self.never_waited && zombie.session == holder.session {
            Sign::Alone
        } else if alone && own_session && in_a_row {
            Sign::InARow
        } else {
            Sign::Untold
        }
    }
}

#[derive(Default)]
struct Counts {
    seen: u64,
    not_seen: u64,
    other_thread: u64,
    cannot_adopt: u64,
    session: u64,
    group: u64,
    older: u64,
    alone: u64,
    in_a_row: u64,
    background: u64,
    before_exec: u64,
    untold: u64,
}

impl Counts {
    fn add(&mut self, sign: Sign) {
        let count = match sign {
            Sign::Seen => &mut self.seen,
            Sign::NotSeen => &mut self.not_seen,
            Sign::OtherThread => &mut self.other_thread,
            Sign::CannotAdopt => &mut self.cannot_adopt,
            Sign::Session => &mut self.session,
            Sign::Group => &mut self.group,
            Sign::Older => &mut self.older,
            Sign::Alone => &mut self.alone,
            Sign::InARow => &mut self.in_a_row,
            Sign::Background => &mut self.background,
            Sign::BeforeExec => &mut self.before_exec,
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
            (self.seen, "were started by it: Sexton watched its forks (sched_process_fork)".to_owned()),
            (self.not_seen, "were started by another process: Sexton watched the forks of this one, and they were not among them (sched_process_fork)".to_owned()),
            (self.other_thread, format!("were forked by it: they are on the lists of threads other than its main one, which never get orphans (/proc/{pid}/task/*/children)")),
            (self.cannot_adopt, format!("are its own children: it is neither PID 1 of its PID namespace nor, as far as anything tells, a subreaper, so it does not get orphans (NSpid of /proc/{pid}/status)")),
            (self.session, "were started by another process that has ended: they are in a session that neither they nor it lead (field 6 of /proc/ZOMBIE/stat)".to_owned()),
            (self.group, "were started by another process that has ended: they are in a process group that neither they nor it lead (field 5 of /proc/ZOMBIE/stat)".to_owned()),
            (self.older, "are older than it, so another process started them (field 22 of /proc/ZOMBIE/stat)".to_owned()),
            (
                self.alone,
                format!("share its session and group, and as it has never waited, and no process lives in its PID namespace that is older and has waited for a child, it started some of them if not all (field 11 of /proc/{pid}/stat)"),
            ),
            (self.in_a_row, format!("were started one after another with no number missing between them, as one would be for each parent that had ended; so {pid} started some of them if not all (NSpid of /proc/ZOMBIE/status)")),
            (self.background, "were not started by it: a shell put them in the background, or its program starts nothing, so another process started them or a script that it was before (SigIgn of /proc/ZOMBIE/status)".to_owned()),
            (self.before_exec, "were there before it became this program by exec: a shell put them in the background, or this program starts nothing (SigIgn of /proc/ZOMBIE/status, the names in its executable)".to_owned()),
            (self.untold, "may be its own or orphans: neither session nor group tells, and the kernel keeps no record of a first parent".to_owned()),
        ];
        sentences
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, text)| format!("Of its zombies {} {text}.", of(count)))
            .collect()
    }
}

/// An orphan's parent has ended. So a process that lives can have left orphans behind only if it
/// is older than they are, and has waited for the process between.
fn alone_until(holder: &Stat, circumstances: &Circumstances<'_>) -> u64 {
    let Some(members) = circumstances.members else {
        return 0;
    };
    members
        .iter()
        .filter(|member| member.pid != holder.pid && numbers::may_have_left_orphans(member))
        .map(|member| member.start_ticks)
        .min()
        .unwrap_or(u64::MAX)
}

/// What the numbers of the zombies tell.
#[derive(Default)]
struct Numbers {
    /// Between these none is missing.
    row: HashSet<u32>,
    /// Below these none is missing.
    complete: HashSet<u32>,
}

fn numbers(
    scanner: &Scanner,
    zombies: &[Seen],
    circumstances: &Circumstances<'_>,
    notes: &mut Notes,
) -> Result<Numbers, Error> {
    let Some(members) = circumstances.members else {
        return Ok(Numbers::default());
    };
    let zombies: Vec<u32> = zombies.iter().filter_map(|zombie| zombie.number).collect();
    let taken = numbers::taken(scanner, members, notes)?;
    Ok(Numbers {
        row: numbers::unbroken(zombies.clone(), &taken),
        complete: numbers::complete(zombies, &taken),
    })
}

/// All of them may have been there before the holder became its program by exec.
fn early(
    holder: &Stat,
    zombies: &[Seen],
    circumstances: &Circumstances<'_>,
    background_tells: bool,
) -> bool {
    let hertz = rustix::param::clock_ticks_per_second();
    let script = hertz.saturating_mul(EARLY_SECONDS);
    let until = holder.start_ticks.saturating_add(script);
    let until = circumstances
        .first_thread
        .map_or(until, |start| start.min(until));
    let is_early = |zombie: &Seen| zombie.stat.start_ticks <= until && !zombie.other_thread;
    // The mark is missing from those that the program started itself, unless they are so few.
    let told = background_tells && zombies.len() > FEW;
    let is_told = |zombie: &Seen| told && !zombie.background;
    !circumstances.shell && zombies.iter().all(|z| is_early(z) && !is_told(z))
}

fn is_background(status: &Status) -> bool {
    status.ignored & BACKGROUND == BACKGROUND
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
) -> Result<Vec<Seen>, Error> {
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
    // The newest stand last, and of those each is looked at: numbers that are passed over would
    // be missing.
    let newest = candidates.len().saturating_sub(NEWEST);
    let chosen = candidates
        .into_iter()
        .enumerate()
        .filter(|(index, _)| *index >= newest || index.checked_rem(step) == Some(0))
        .map(|(_, candidate)| candidate);
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    for (pid, other) in chosen {
        let Some(stat) = notes.take(scanner.proc.stat(pid, &mut buffer)) else {
            continue;
        };
        if stat.parent == holder.pid && stat.is_reapable_zombie() {
            let status = notes.take(scanner.proc.status(pid, &mut buffer));
            found.push(Seen {
                stat,
                other_thread: other && main_thread_lives,
                background: status.as_ref().is_some_and(is_background),
                number: status.and_then(|status| status.ns_pids.last().copied()),
            });
        }
    }
    Ok(found)
}

/// Who leads the session of most zombies.
fn common_session(
    scanner: &Scanner,
    holder: &Stat,
    zombies: &[Seen],
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
    let leaders: Vec<Session> = zombies
        .iter()
        .map(|zombie| leader_of(&zombie.stat))
        .collect();
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
    use std::sync::LazyLock;

    use super::*;

    /// A process by its pid, group, session and start time.
    fn stat(pid: u32, group: u32, session: u32, start: u64) -> Stat {
        let text = format!(
            "{pid} (x) Z 1 {group} {session} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
        );
        Stat::parse(text.as_bytes()).unwrap()
    }

    fn seen(stat: &Stat, other_thread: bool) -> Seen {
        Seen {
            stat: stat.clone(),
            other_thread,
            background: false,
            number: Some(stat.pid),
        }
    }

    fn sign(adopts: bool, shell: bool, alone_until: u64, zombie: &Stat, other: bool) -> Sign {
        let holder = stat(100, 100, 100, 50);
        let view = View {
            shell,
            alone_until,
            ..view(adopts, &holder)
        };
        view.sign(&seen(zombie, other))
    }

    fn view(adopts: bool, holder: &Stat) -> View<'_> {
        View {
            holder,
            adopts,
            parent_session: Some(7),
            shell: false,
            background_tells: true,
            starts_none: false,
            never_waited: true,
            alone_until: u64::MAX,
            forks: &NONE_SEEN,
            numbers: Numbers::default(),
        }
    }

    static NONE_SEEN: LazyLock<Forks> = LazyLock::new(Forks::default);

    #[test]
    fn what_was_seen_is_sure_whatever_else_tells() {
        let holder = stat(100, 100, 100, 50);
        let own = stat(200, 100, 100, 60);
        let forks = Forks {
            born: HashSet::from([own.id()]),
            whole: 60..70,
        };
        let view = View {
            forks: &forks,
            ..view(true, &holder)
        };
        let sign = |zombie: &Stat| view.sign(&seen(zombie, false));
        assert_eq!(sign(&own), Sign::Seen);
        assert_eq!(sign(&stat(201, 100, 100, 60)), Sign::NotSeen);
        // The pid of one that was seen, and another process.
        assert_eq!(sign(&stat(200, 100, 100, 61)), Sign::NotSeen);
        // Before the watch and after it.
        assert_eq!(sign(&stat(201, 100, 100, 59)), Sign::Alone);
        assert_eq!(sign(&stat(201, 100, 100, 70)), Sign::Alone);
    }

    #[test]
    fn what_a_shell_put_in_the_background_is_not_the_programs_own() {
        let holder = stat(100, 100, 100, 50);
        let mut zombie = seen(&stat(200, 100, 100, 60), false);
        zombie.background = true;
        assert_eq!(view(false, &holder).sign(&zombie), Sign::BeforeExec);
        assert_eq!(view(true, &holder).sign(&zombie), Sign::BeforeExec);
        let waited = View {
            never_waited: false,
            ..view(true, &holder)
        };
        assert_eq!(waited.sign(&zombie), Sign::Background);
        // A holder that ignores those signals itself hands that down.
        let nothing_told = View {
            background_tells: false,
            ..view(false, &holder)
        };
        assert_eq!(nothing_told.sign(&zombie), Sign::CannotAdopt);
        let starts_none = View {
            starts_none: true,
            ..nothing_told
        };
        assert_eq!(starts_none.sign(&zombie), Sign::BeforeExec);
    }

    #[test]
    fn in_a_row_tells_whatever_the_holder_has_waited_for() {
        let holder = stat(100, 100, 100, 50);
        let waited = View {
            never_waited: false,
            numbers: Numbers {
                row: HashSet::from([200]),
                ..Numbers::default()
            },
            ..view(true, &holder)
        };
        let sign = |zombie: &Stat| waited.sign(&seen(zombie, false));
        assert_eq!(sign(&stat(200, 100, 100, 60)), Sign::InARow);
        assert_eq!(sign(&stat(201, 100, 100, 60)), Sign::Untold);
        let older = View {
            alone_until: 60,
            ..waited
        };
        assert_eq!(
            older.sign(&seen(&stat(200, 100, 100, 60), false)),
            Sign::Untold
        );
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
