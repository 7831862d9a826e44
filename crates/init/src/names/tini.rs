//! tini's interface (0.19.0). Differences on purpose: options end at the command, as in its
//! musl builds, and never go on behind it, as in its glibc builds; `-p` and `-e` take numbers,
//! names and mappings as our own options do.

use crate::args::{Reader, Spec, Strings, Value};
use crate::config::{Config, To};
use crate::line::{STDERR, STDOUT};
use crate::text::number;

use super::{LICENSE, Parsed, refuse, refuse_value, say};

const SPECS: &[Spec] = &[
    Spec(b'h', "", Value::No),
    Spec(b's', "", Value::No),
    Spec(b'p', "", Value::Yes),
    Spec(b'v', "", Value::No),
    Spec(b'w', "", Value::No),
    Spec(b'g', "", Value::No),
    Spec(b'e', "", Value::Yes),
    Spec(b'l', "", Value::No),
];

const HELP: &str = "\
tini (sexton-init stands in for tini 0.19.0)
Usage: tini [OPTIONS] [--] PROGRAM [ARGS] | --version

  --version     Print the version, if nothing else is given
  -h            Print this
  -s            Take orphans though not PID 1 (or set TINI_SUBREAPER)
  -p SIGNAL     Get SIGNAL when the process above dies
  -v            Say more, up to three times (or set TINI_VERBOSITY; default 1)
  -w            Print a line for each zombie that is reaped
  -g            Pass signals on to the child's process group (or set TINI_KILL_PROCESS_GROUP)
  -e EXIT_CODE  Exit with 0 instead of EXIT_CODE; may be repeated
  -l            Print the license

The SEXTON_INIT_* variables hold too: see `sexton-init --help`.
";

pub(super) fn parse<'a>(
    config: &mut Config<'a>,
    words: Strings<'a>,
    environment: Strings<'a>,
) -> Parsed {
    if words.get(1) == Some(c"--version") && words.get(2).is_none() {
        // Docker takes what follows these two words for the version of its init.
        return say(
            STDOUT,
            concat!(
                "tini version 0.19.0_sexton-init-",
                env!("CARGO_PKG_VERSION"),
                "\n"
            ),
        );
    }
    let mut reader = Reader::new(words, SPECS);
    let mut verbose = 0;
    loop {
        match reader.next() {
            Err(invalid) => return refuse(config.name, invalid, HELP),
            Ok(None) => break,
            Ok(Some((b'h', _))) => return say(STDOUT, HELP),
            Ok(Some((b'l', _))) => return say(STDOUT, LICENSE),
            Ok(Some((b's', _))) => config.subreaper = true,
            Ok(Some((b'v', _))) => verbose += 1,
            Ok(Some((b'w', _))) => config.log_reaped = true,
            Ok(Some((b'g', _))) => config.to = To::Group,
            Ok(Some((letter, value))) => {
                let value = value.unwrap_or_default();
                if let Err(why) = crate::config::set(config, letter, value) {
                    return refuse_value(config.name, &[letter], value, why);
                }
            }
        }
    }
    config.command = reader.command();
    if config.command.is_none() {
        say(STDERR, HELP);
        return Parsed::Refused(1);
    }
    config.subreaper |= environment.value(b"TINI_SUBREAPER").is_some();
    if environment.value(b"TINI_KILL_PROCESS_GROUP").is_some() {
        config.to = To::Group;
    }
    if let Some(level) = environment.value(b"TINI_VERBOSITY") {
        // As atoi(3): what is no number is 0.
        config.verbosity = number(level.to_bytes())
            .and_then(|n| u8::try_from(n).ok())
            .unwrap_or(0);
        verbose = 0;
    }
    config.verbosity = config.verbosity.saturating_add(verbose);
    Parsed::Run
}
