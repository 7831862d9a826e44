//! How it ended, in one line.

use core::ffi::CStr;

use crate::config::{Config, Death};
use crate::errno::Errno;
use crate::line::{Line, STDERR};
use crate::proc::{self, Stat};
use crate::status::{Rest, Status};
use crate::sys::{self, Open, Pid};
use crate::voice::Voice;

/// So many dead children that were never waited for are worth a line: a few may have died
/// together with their parent.
const MANY_ZOMBIES: u32 = 10;
/// So many of those that are left are named.
const NAMED: u32 = 8;

/// Everything about the end.
pub(crate) struct End<'a> {
    /// The command as it was given.
    pub(crate) command: &'a [u8],
    /// What it was when it died, as far as that is known.
    pub(crate) program: Option<&'a Stat>,
    pub(crate) pid: Pid,
    /// `None`: it lives on.
    pub(crate) status: Option<Status>,
    /// What init exits with.
    pub(crate) exit_code: u8,
    /// Milliseconds after which init killed it.
    pub(crate) killed_after: Option<u64>,
    /// Why init may not signal it.
    pub(crate) refused: Option<Errno>,
    /// Init is PID 1, with whose exit the kernel kills all that is left.
    pub(crate) owns_namespace: bool,
    /// What the rest was sent.
    pub(crate) stop_signal: u8,
    /// What the end was asked for with.
    pub(crate) asked_by: u8,
    pub(crate) oom_kills: u32,
    pub(crate) rest: Rest,
    pub(crate) zombies: u32,
}

/// Says that the termination log cannot be written, while there is time to do something.
pub(crate) fn check_log(path: &CStr, voice: Voice) {
    match sys::open(path, Open::Append) {
        Ok(fd) => sys::close(fd),
        Err(error) => no_log(path, voice, error),
    }
}

fn no_log(path: &CStr, voice: Voice, error: Errno) {
    Voice::prefix(voice.name, b"WARN")
        .text("cannot write the termination log ")
        .name(path.to_bytes())
        .because(error)
        .write(STDERR);
}

/// Writes what is wanted to stderr and the termination log.
pub(crate) fn tell(config: &Config<'_>, voice: Voice, end: &End<'_>) {
    if config.death == Death::Plain {
        if end.zombies >= MANY_ZOMBIES {
            end.zombies_line().write(STDERR);
        }
        // Whom init may not signal was given no time.
        let in_vain = end.status.is_none() && end.refused.is_some();
        if matches!(end.rest, Rest::Killed | Rest::Remains) && !in_vain {
            end.rest_line(config.grace.unwrap_or(0)).write(STDERR);
        }
    }
    if end.rest == Rest::Remains {
        end.left_line(voice).write(STDERR);
    }
    // That it lives on is said whatever else is: else init would seem to have ended for nothing.
    let odd = !matches!(end.status, Some(Status::Exited(_))) || end.oom_kills > 0;
    match config.death {
        Death::Json => end.json().write(STDERR),
        Death::Plain if odd => end.plain().write(STDERR),
        // Under tini's name its own words have been said.
        _ if end.status.is_none() && config.name != crate::config::Name::Tini => {
            end.plain().write(STDERR);
        }
        _ => {}
    }
    if let Some(path) = config.termination_log.filter(|_| end.exit_code != 0)
        && let Err(error) = end.log(path, config.death)
    {
        no_log(path, voice, error);
    }
}

impl End<'_> {
    /// Appends the line: the program may have left its own message there.
    fn log(&self, path: &CStr, death: Death) -> Result<(), Errno> {
        let fd = sys::open(path, Open::Append)?;
        let mut line = if death == Death::Json {
            self.json()
        } else {
            self.plain()
        };
        if sys::length(fd).is_ok_and(|length| length > 0) {
            let _ = sys::write(fd, b"\n");
        }
        let written = line.try_write(fd);
        sys::close(fd);
        written
    }

    /// The program that the command has become by `exec`, if it has. The kernel keeps 15 bytes
    /// of the name.
    fn became(&self) -> Option<&[u8]> {
        let program = self.program?.name();
        let given = self.command.rsplit(|&byte| byte == b'/').next()?;
        (given.get(..15).unwrap_or(given) != program).then_some(program)
    }

    fn who(&self) -> Line {
        let mut line = Line::new();
        line.text("sexton-init: process ")
            .number(self.pid)
            .text(" (")
            .name(self.became().unwrap_or(self.command))
            .text(")");
        line
    }

    fn plain(&self) -> Line {
        let mut line = self.who();
        match self.status {
            Some(Status::Killed { signal, core }) => line
                .text(" was killed by signal ")
                .signal(signal)
                .text(if core { ", core dumped" } else { "" }),
            Some(_) => line.text(" ended by itself"),
            None => {
                let why = self.refused.map(Errno::words);
                let why = why.unwrap_or(b"it sleeps in the kernel");
                line.text(" cannot be killed: ")
                    .bytes(why)
                    .text(self.fate())
            }
        };
        if let Some(time) = self.killed_after {
            line.text(", which init sent since it was still there ")
                .seconds(time);
            line.text(" after signal ").signal(self.asked_by);
        }
        if self.oom_kills > 0 {
            line.text("; out of memory: the kernel killed ")
                .count(self.oom_kills);
            line.text(if self.oom_kills == 1 {
                " process"
            } else {
                " processes"
            });
            line.text(" of this cgroup");
        }
        line.text("; exit code ").number(self.exit_code.into());
        line
    }

    fn rest_line(&self, grace: u64) -> Line {
        let mut line = Line::new();
        line.text("sexton-init: what the command left behind did not end within ");
        line.seconds(grace)
            .text(" of signal ")
            .signal(self.stop_signal);
        line.text(if self.rest == Rest::Killed {
            " and was killed"
        } else {
            " and cannot be killed"
        });
        line
    }

    /// What init's exit means for those that it could not end.
    fn fate(&self) -> &'static str {
        if self.owns_namespace {
            "; init's exit ends all that is left"
        } else {
            "; left running"
        }
    }

    /// Names those that are left.
    fn left_line(&self, voice: Voice) -> Line {
        let mut line = Voice::prefix(voice.name, b"WARN");
        let init = sys::getpid();
        let (mut named, mut others) = (0, 0);
        // Unreadable, they cannot be named; that some are left is said all the same.
        let _ = proc::each(&mut |pid| {
            let below = pid != init && (self.owns_namespace || proc::descends(pid, init));
            if !below || Stat::of(pid).is_none_or(|stat| stat.is_zombie()) {
                return;
            }
            if named == NAMED {
                others += 1;
                return;
            }
            named += 1;
            line.text(if named == 1 { "left: process " } else { ", " })
                .process(pid);
            if let Some(error) = proc::refusal(pid) {
                line.text(" (").bytes(error.words()).text(")");
            }
        });
        match (named, others) {
            (0, _) => line.text("left: processes that /proc does not show"),
            (_, 0) => &mut line,
            _ => line.text(" and ").count(others).text(" more"),
        };
        line.text(self.fate());
        line
    }

    fn zombies_line(&self) -> Line {
        let mut line = self.who();
        line.text(" left ").count(self.zombies);
        line.text(" zombies that it had never waited for; see `sexton explain`");
        line
    }

    fn json(&self) -> Line {
        let truth = |truth| if truth { "true" } else { "false" };
        let mut line = Line::new();
        line.text("{\"sexton_init\":\"end\",\"command\":")
            .json(self.command);
        if let Some(program) = self.became() {
            line.text(",\"program\":").json(program);
        }
        line.text(",\"pid\":").number(self.pid);
        line.text(",\"exit_code\":").number(self.exit_code.into());
        match self.status {
            None => line.text(",\"remains\":true"),
            Some(Status::Killed { signal, core }) => line
                .text(",\"signal\":")
                .number(signal.into())
                .text(",\"signal_name\":")
                .json(crate::signal::name(signal))
                .text(",\"core_dumped\":")
                .text(truth(core)),
            Some(status) => line.text(",\"status\":").number(status.code().into()),
        };
        line.text(",\"killed_by_init\":")
            .text(truth(self.killed_after.is_some()));
        line.text(",\"oom_kills\":").count(self.oom_kills);
        line.text(",\"rest\":").text(match self.rest {
            Rest::Nobody => "\"none\"",
            Rest::Left => "\"left\"",
            Rest::Ended => "\"ended\"",
            Rest::Killed => "\"killed\"",
            Rest::Remains => "\"remains\"",
        });
        line.text(",\"zombies_left\":")
            .count(self.zombies)
            .text("}");
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> End<'static> {
        End {
            command: b"chrome \"x\"\xff",
            pid: 7,
            program: None,
            status: Some(Status::Killed {
                signal: 9,
                core: false,
            }),
            exit_code: 137,
            killed_after: None,
            refused: None,
            owns_namespace: false,
            stop_signal: 15,
            asked_by: 15,
            oom_kills: 1,
            rest: Rest::Nobody,
            zombies: 0,
        }
    }

    fn text(line: &Line) -> String {
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    }

    #[test]
    fn words() {
        assert_eq!(
            text(&end().plain()),
            "sexton-init: process 7 (chrome \"x\"\u{fffd}) was killed by signal 9 (KILL); \
             out of memory: the kernel killed 1 process of this cgroup; exit code 137"
        );
        let escalated = End {
            oom_kills: 0,
            killed_after: Some(1_050),
            command: b"a",
            ..end()
        };
        assert_eq!(
            text(&escalated.plain()),
            "sexton-init: process 7 (a) was killed by signal 9 (KILL), which init sent since \
             it was still there 1.050 s after signal 15 (TERM); exit code 137"
        );
    }

    #[test]
    fn json_is_valid_whatever_the_command_is_called() {
        assert_eq!(
            text(&end().json()),
            "{\"sexton_init\":\"end\",\"command\":\"chrome \\\"x\\\"\\u00ff\",\"pid\":7,\
             \"exit_code\":137,\"signal\":9,\"signal_name\":\"KILL\",\"core_dumped\":false,\
             \"killed_by_init\":false,\"oom_kills\":1,\"rest\":\"none\",\"zombies_left\":0}"
        );
        let long = End {
            command: &[0xff; 4000],
            ..end()
        };
        assert!(text(&long.json()).ends_with('}'));
    }
}
