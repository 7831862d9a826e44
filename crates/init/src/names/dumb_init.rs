//! dumb-init's interface (1.2.5). Differences on purpose: `-r` takes names too, and nothing
//! behind the second signal.

use crate::args::{Reader, Spec, Strings, Value};
use crate::config::{Config, Session, To};
use crate::line::STDERR;
use crate::signal;
use crate::text::number;

use super::{Parsed, refuse, say, say_version};

const SPECS: &[Spec] = &[
    Spec(b'c', "single-child", Value::No),
    Spec(b'r', "rewrite", Value::Yes),
    Spec(b'v', "verbose", Value::No),
    Spec(b'h', "help", Value::No),
    Spec(b'V', "version", Value::No),
];

const VERSION: &str = "dumb-init v1.2.5\n";

const HELP: &str = "\
Usage: dumb-init [option] command [[arg] ...]

(sexton-init stands in for dumb-init.)

  -c, --single-child   Pass signals on to the child alone, and do not start a session
                       (or set DUMB_INIT_SETSID=0)
  -r, --rewrite s:r    Pass on signal r instead of s; r = 0 drops it. May be repeated.
  -v, --verbose        Say what is done (or set DUMB_INIT_DEBUG=1)
  -h, --help           Print this
  -V, --version        Print the version

The SEXTON_INIT_* variables hold too: see `sexton-init --help`.
";

const REWRITE_USAGE: &str = "\
Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.
This option can be specified multiple times.
Use --help for full usage.
";

pub(super) fn parse<'a>(
    config: &mut Config<'a>,
    words: Strings<'a>,
    environment: Strings<'a>,
) -> Parsed {
    let mut reader = Reader::with_abbreviations(words, SPECS);
    loop {
        match reader.next() {
            Err(invalid) => {
                let usage = if invalid.option == b"r" {
                    REWRITE_USAGE
                } else {
                    ""
                };
                return refuse(config.name, invalid, usage);
            }
            Ok(None) => break,
            Ok(Some((b'h', _))) => {
                say(STDERR, VERSION);
                return say(STDERR, HELP);
            }
            Ok(Some((b'V', _))) => {
                // What asks for dumb-init's version reads stderr.
                say_version();
                return say(STDERR, VERSION);
            }
            Ok(Some((b'v', _))) => config.verbosity = 1,
            Ok(Some((b'c', _))) => single_child(config),
            Ok(Some((_, value))) => match rewrite(value.unwrap_or_default().to_bytes()) {
                Some((from, to)) => config.rewrites.set(from, to),
                None => {
                    say(STDERR, REWRITE_USAGE);
                    return Parsed::Refused(1);
                }
            },
        }
    }
    config.command = reader.command();
    if config.command.is_none() {
        say(
            STDERR,
            "Usage: dumb-init [option] program [args]\nTry dumb-init --help for full usage.\n",
        );
        return Parsed::Refused(1);
    }
    if environment.value(b"DUMB_INIT_DEBUG") == Some(c"1") {
        config.verbosity = 1;
    }
    if environment.value(b"DUMB_INIT_SETSID") == Some(c"0") {
        single_child(config);
    }
    if config.session == Session::New {
        // The child's group is orphaned (its parent is in another session), so that the kernel
        // drops what would stop it at the terminal; only STOP stops it.
        for stop in [signal::TSTP, signal::TTIN, signal::TTOU] {
            config.rewrites.set_default(stop, signal::STOP);
        }
    }
    Parsed::Run
}

fn single_child(config: &mut Config<'_>) {
    config.session = Session::Keep;
    config.to = To::Child;
}

fn rewrite(text: &[u8]) -> Option<(u8, u8)> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    let signal = |text| signal::parse(text).filter(|&signal| signal <= 31);
    let (from, to) = (signal(text.get(..colon)?)?, text.get(colon + 1..)?);
    Some((
        from,
        if number(to) == Some(0) {
            0
        } else {
            signal(to)?
        },
    ))
}
