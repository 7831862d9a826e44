//! How it ended, in one line.

use crate::child::Status;
use crate::config::{Config, Death};
use crate::ending::Rest;
use crate::line::{Line, STDERR};
use crate::sys::{self, Open, Pid};

/// So many dead children that were never waited for are worth a line: a few may have died
/// together with their parent.
const MANY_ZOMBIES: u32 = 10;

/// Everything about the end.
pub(crate) struct End<'a> {
    pub(crate) command: &'a [u8],
    pub(crate) pid: Pid,
    pub(crate) status: Status,
    /// What init exits with.
    pub(crate) exit_code: u8,
    /// Milliseconds after which init killed it.
    pub(crate) killed_after: Option<u64>,
    pub(crate) stop_signal: u8,
    pub(crate) oom_kills: u32,
    pub(crate) rest: Rest,
    pub(crate) zombies: u32,
}

/// Writes what is wanted to stderr and the termination log.
pub(crate) fn tell(config: &Config<'_>, end: &End<'_>) {
    match config.death {
        Death::Off => {}
        Death::Json => end.json().write(STDERR),
        Death::Plain => {
            if end.zombies >= MANY_ZOMBIES {
                end.zombies_line().write(STDERR);
            }
            if matches!(end.rest, Rest::Killed | Rest::Remains) {
                end.rest_line(config.grace.unwrap_or(0)).write(STDERR);
            }
            if matches!(end.status, Status::Killed { .. }) || end.oom_kills > 0 {
                end.plain().write(STDERR);
            }
        }
    }
    if let Some(path) = config.termination_log.filter(|_| end.exit_code != 0)
        && let Ok(fd) = sys::open(path, Open::Append)
    {
        // The program may have left its own message there; ours goes behind it.
        let mut line = if config.death == Death::Json {
            end.json()
        } else {
            end.plain()
        };
        if sys::length(fd).is_ok_and(|length| length > 0) {
            let _ = sys::write(fd, b"\n");
        }
        line.write(fd);
        sys::close(fd);
    }
}

impl End<'_> {
    fn who(&self) -> Line {
        let mut line = Line::new();
        line.text("sexton-init: process ")
            .number(self.pid)
            .text(" (")
            .bytes(self.command)
            .text(")");
        line
    }

    fn plain(&self) -> Line {
        let mut line = self.who();
        match self.status {
            Status::Killed { signal, core } => line
                .text(" was killed by signal ")
                .signal(signal)
                .text(if core { ", core dumped" } else { "" }),
            _ => line.text(" ended by itself"),
        };
        if let Some(time) = self.killed_after {
            line.text(", which init sent since it was still there ")
                .seconds(time);
            line.text(" after signal ").signal(self.stop_signal);
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
            " and cannot be killed: it sleeps in the kernel, or is another user's"
        });
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
        line.text(",\"pid\":").number(self.pid);
        line.text(",\"exit_code\":").number(self.exit_code.into());
        match self.status {
            Status::Killed { signal, core } => line
                .text(",\"signal\":")
                .number(signal.into())
                .text(",\"signal_name\":")
                .json(crate::signal::name(signal).as_bytes())
                .text(",\"core_dumped\":")
                .text(truth(core)),
            _ => line.text(",\"status\":").number(self.status.code().into()),
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
            status: Status::Killed {
                signal: 9,
                core: false,
            },
            exit_code: 137,
            killed_after: None,
            stop_signal: 15,
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
