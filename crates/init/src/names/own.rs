//! Our own options.

use crate::args::{Reader, Spec, Strings, Value};
use crate::config::{Config, ORPHANS, Session, To, UNTIL_ALL};
use crate::line::{STDERR, STDOUT};

use super::{Parsed, refuse, refuse_value, say, say_version};

const SPECS: &[Spec] = &[
    Spec(b't', "to", Value::Yes),
    Spec(b'g', "group", Value::No),
    Spec(b'r', "rewrite", Value::Yes),
    Spec(b'S', "stop-signal", Value::Yes),
    Spec(b'G', "grace", Value::Yes),
    Spec(b'K', "kill-after", Value::Yes),
    // Only with their long names.
    Spec(ORPHANS, "orphans", Value::Yes),
    Spec(UNTIL_ALL, "until-all", Value::No),
    Spec(b'e', "exit-code", Value::Yes),
    Spec(b'D', "death", Value::Yes),
    Spec(b'T', "termination-log", Value::Attached),
    Spec(b'p', "parent-death", Value::Yes),
    Spec(b'n', "session", Value::Yes),
    Spec(b'w', "log-reaped", Value::No),
    Spec(b'v', "verbose", Value::No),
    Spec(b'R', "report", Value::No),
    Spec(b'h', "help", Value::No),
    Spec(b'V', "version", Value::No),
];

const USAGE: &str = "Usage: sexton-init [OPTION...] [--] COMMAND [ARGUMENT...]\n";
const MORE: &str = "Try: sexton-init --help\n";

const HELP: &str = "\
Runs COMMAND as the main process of a container: passes signals on to it, reaps every
orphan, and when it ends, ends all that it left behind.

Signals
  -t, --to child|group|all   Who gets them: the command (the default: it tells its own
                             children), its process group, or all that descends from it
  -g, --group                The same as --to group
  -r, --rewrite FROM:TO      Pass on TO instead of FROM; TO = 0 drops it. May be repeated.
                             Signals by name or number: TERM, SIGTERM, 15, RTMIN+3
  -p, --parent-death SIGNAL  Get SIGNAL when the process above init dies

Ending
  -G, --grace TIME           When the command has ended, the rest gets the stop signal and
                             this long, then KILL (default 5s; off: leave it alone)
  -K, --kill-after TIME      Kill the command this long after it was asked to end, if it is
                             still there (default: never)
  -S, --stop-signal SIGNAL   The signal that asks for the end, and that the rest gets (default
                             TERM; INT, QUIT, PWR and RTMIN+3 from outside ask for it too)
      --orphans keep|end[=TIME]
                             What to do with a process whose parent ends while the command
                             runs: nothing (the default), or the stop signal after TIME
                             (default: at once), and KILL when --grace is over too. Init then
                             wakes up to look for them, at least once a second
      --until-all            When the command has ended, stay until its last descendant has
                             ended too, or the end is asked for: for what goes on in the
                             background. The exit code is the command's

Telling how it ended
  -e, --exit-code CODE[:TO]  Exit with TO (default 0) instead of CODE. May be repeated, or
                             several with commas: 143,3:7
  -D, --death off|plain|json One line on stderr: in words when the command was killed
                             (plain, the default), or as JSON at every end
  -T, --termination-log[=FILE]
                             Write that line to FILE too, whenever the exit code is not 0
                             (default /dev/termination-log: `kubectl describe` shows it)
  -w, --log-reaped           One line for each orphan that is reaped
  -v, --verbose              Say what is done

  -n, --session auto|new|keep  The command's place at the terminal (see the README)
  -R, --report               Print the zombies here and who holds them, and end
  -h, --help                 Print this
  -V, --version              Print the version

TIME is a number and ms, s, m or h; seconds if there is no unit. The variables
SEXTON_INIT_TO, _GRACE, _KILL_AFTER, _STOP_SIGNAL, _ORPHANS, _UNTIL_ALL=1, _EXIT_CODE, _DEATH
and _TERMINATION_LOG say the same as the options; they also hold when init is called as tini,
dumb-init or catatonit.

The exit code is the command's, or 128 + the signal that killed it; 127: not found, 126: not
executable, 125: init itself could not go on, or left the command running because it may
not be killed.

Examples
  ENTRYPOINT [\"sexton-init\", \"--\", \"chromedriver\"]
  sexton-init -K 20s -e 143 -- gunicorn app:main   # inside a grace period of 30 s
  sexton-init -r TERM:QUIT -- nginx -g 'daemon off;'
  sexton-init --to group -- sh -c 'a | b'
  sexton-init --orphans end=30s -- supervisord -n
  sexton-init --until-all -- service nginx start
  kubectl exec POD -- sexton-init --report         # who leaves zombies here?
";

pub(super) fn parse<'a>(config: &mut Config<'a>, words: Strings<'a>) -> Parsed {
    let mut reader = Reader::new(words, SPECS);
    loop {
        match reader.next() {
            Err(invalid) => return refuse(config.name, invalid, MORE),
            Ok(None) => break,
            Ok(Some((b'h', _))) => {
                say(STDOUT, USAGE);
                say(STDOUT, "\n");
                return say(STDOUT, HELP);
            }
            Ok(Some((b'V', _))) => {
                say_version();
                return Parsed::Said;
            }
            Ok(Some((b'R', _))) => return Parsed::Report,
            Ok(Some((b'g', _))) => config.to = To::Group,
            Ok(Some((b'w', _))) => config.log_reaped = true,
            Ok(Some((b'v', _))) => config.verbosity += 1,
            Ok(Some((letter, value))) => {
                let value = match letter {
                    b'T' => value.unwrap_or(c"/dev/termination-log"),
                    UNTIL_ALL => c"1",
                    _ => value.unwrap_or_default(),
                };
                if let Err(why) = crate::config::set(config, letter, value) {
                    let long = SPECS
                        .iter()
                        .find(|spec| spec.0 == letter)
                        .map_or("", |spec| spec.1);
                    return refuse_value(config.name, long.as_bytes(), value, why);
                }
            }
        }
    }
    if config.session == Session::Keep && config.to == To::Group {
        // The group would be the one that init is in, and more than the command.
        let why = "cannot go with --to group: the command has no group of its own";
        return refuse_value(config.name, b"session", c"keep", why);
    }
    config.command = reader.command();
    if config.command.is_none() {
        super::Voice::prefix(config.name, b"FATAL")
            .text("no command is given")
            .write(STDERR);
        say(STDERR, USAGE);
        say(STDERR, MORE);
        return Parsed::Refused(super::failure(config.name));
    }
    Parsed::Run
}
