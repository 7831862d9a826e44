//! catatonit's interface (0.1.7 to 0.2). Differences on purpose: options end at the command;
//! TSTP, TTIN and TTOU are passed on, and the child does not get them blocked.

use crate::args::{Reader, Spec, Strings, Value};
use crate::config::{Config, To};
use crate::line::{STDERR, STDOUT};
use crate::voice::Voice;

use super::{LICENSE, Parsed, refuse, say};

const SPECS: &[Spec] = &[
    Spec(b'g', "", Value::No),
    Spec(b'h', "", Value::No),
    Spec(b'L', "", Value::No),
    Spec(b'P', "", Value::No),
    Spec(b'V', "version", Value::No),
];

const USAGE: &str = "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n";

const HELP: &str = "
(sexton-init stands in for catatonit.)

  -g              Pass signals on to the program's process group
  -h              Print this
  -L              Print the license
  -P              Run no program: reap orphans until INT or TERM
  -V, --version   Print the version

The SEXTON_INIT_* variables hold too: see `sexton-init --help`.
";

pub(super) fn parse<'a>(
    config: &mut Config<'a>,
    words: Strings<'a>,
    environment: Strings<'a>,
) -> Parsed {
    if environment.value(b"CATATONIT_DEBUG").is_some() {
        config.verbosity = 1;
    }
    let mut reader = Reader::with_abbreviations(words, SPECS);
    let mut pause = false;
    loop {
        match reader.next() {
            Err(invalid) => return refuse(config.name, invalid, USAGE),
            Ok(None) => break,
            Ok(Some((b'g', _))) => config.to = To::Group,
            Ok(Some((b'P', _))) => pause = true,
            Ok(Some((b'L', _))) => return say(STDOUT, LICENSE),
            Ok(Some((b'V', _))) => {
                // Docker is made for tini, and reads these two words.
                const VERSION: &str = concat!(
                    "tini version 0.2.1_catatonit_sexton-init-",
                    env!("CARGO_PKG_VERSION"),
                    "\n"
                );
                return say(STDOUT, VERSION);
            }
            Ok(Some(_)) => {
                say(STDERR, USAGE);
                return say(STDERR, HELP);
            }
        }
    }
    config.command = if pause { None } else { reader.command() };
    if config.command.is_none() && !pause {
        Voice::prefix(config.name, b"ERROR")
            .text("missing program name")
            .write(STDERR);
        say(STDERR, USAGE);
        return Parsed::Refused(1);
    }
    Parsed::Run
}
