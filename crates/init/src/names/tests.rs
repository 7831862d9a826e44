use std::ffi::CString;

use super::*;
use crate::config::{Session, To};

/// Parses a command line and environment, as the kernel would pass them, and looks at what
/// comes of it.
fn with<T>(words: &[&str], variables: &[&str], look: impl FnOnce(Parsed, Config<'_>) -> T) -> T {
    let texts = |list: &[&str]| -> Vec<CString> {
        list.iter()
            .map(|text| CString::new(*text).unwrap())
            .collect()
    };
    let (words, variables) = (texts(words), texts(variables));
    let pointers = |list: &[CString]| -> Vec<*const u8> {
        let ends = list.iter().map(|text| text.as_ptr().cast());
        ends.chain([core::ptr::null()]).collect()
    };
    let (first, second) = (pointers(&words), pointers(&variables));
    // SAFETY: the vectors live to the end of this function.
    let (words, variables) = unsafe {
        (
            Strings::until_null(first.as_ptr()),
            Strings::until_null(second.as_ptr()),
        )
    };
    let mut config = Config::new(of(words.get(0).unwrap_or_default().to_bytes()));
    let parsed = parse(&mut config, words, variables);
    look(parsed, config)
}

fn run<T>(words: &[&str], variables: &[&str], look: impl FnOnce(Config<'_>) -> T) -> T {
    with(words, variables, |parsed, config| match parsed {
        Parsed::Run => look(config),
        _ => panic!("{words:?} should run"),
    })
}

fn refused(words: &[&str]) -> Option<i32> {
    with(words, &[], |parsed, _| match parsed {
        Parsed::Refused(code) => Some(code),
        _ => None,
    })
}

#[test]
fn the_name_is_the_last_part_of_the_path() {
    for (path, name) in [
        ("/sbin/tini", Name::Tini),
        ("tini-static", Name::Tini),
        ("/sbin/docker-init", Name::Tini),
        ("dumb-init", Name::DumbInit),
        ("/usr/bin/dumb-init", Name::DumbInit),
        ("/run/podman-init", Name::Catatonit),
        ("catatonit", Name::Catatonit),
        ("/usr/bin/sexton-init", Name::Own),
        ("tiny", Name::Own),
        ("/tini/sexton-init", Name::Own),
        ("", Name::Own),
    ] {
        assert_eq!(of(path.as_bytes()), name, "{path}");
    }
}

#[test]
fn options_end_at_the_command_under_every_name() {
    for name in ["sexton-init", "tini", "dumb-init", "catatonit"] {
        run(&[name, "ls", "-l", "--", "-V"], &[], |config| {
            assert_eq!(config.command, Some(1));
        });
        run(&[name, "--", "-l"], &[], |config| {
            assert_eq!(config.command, Some(2));
        });
        run(&[name, "--", "--", "x"], &[], |config| {
            assert_eq!(config.command, Some(2));
        });
        run(&[name, "-"], &[], |config| {
            assert_eq!(config.command, Some(1));
        });
        assert!(refused(&[name]).is_some());
        assert!(refused(&[name, "--"]).is_some());
    }
}

#[test]
fn our_own_options() {
    let words = [
        "sexton-init",
        "-gw",
        "-r",
        "TERM:QUIT",
        "-rHUP:0",
        "--grace=1.5s",
        "-K20",
        "--exit-code",
        "143",
        "-e3:7",
        "--death",
        "json",
        "-SINT",
        "-T",
        "-n",
        "new",
        "--",
        "x",
    ];
    run(&words, &[], |config| {
        assert_eq!(config.command, Some(words.len() - 1));
        assert_eq!((config.to, config.session), (To::Group, Session::New));
        assert_eq!(
            (config.grace, config.kill_after),
            (Some(1_500), Some(20_000))
        );
        assert_eq!((config.exit_codes.of(143), config.exit_codes.of(3)), (0, 7));
        assert_eq!(
            (config.rewrites.apply(15), config.rewrites.apply(1)),
            (Some(3), None)
        );
        assert_eq!(config.stop(), 2);
        assert_eq!(config.termination_log, Some(c"/dev/termination-log"));
        assert!(config.log_reaped);
    });
}

#[test]
fn options_come_after_the_environment() {
    let variables = [
        "SEXTON_INIT_GRACE=off",
        "SEXTON_INIT_TO=all",
        "SEXTON_INIT_DEATH=json",
    ];
    run(&["tini", "x"], &variables, |config| {
        assert_eq!((config.to, config.grace), (To::All, None));
        assert_eq!(config.death, crate::config::Death::Json);
    });
    run(
        &["sexton-init", "-G2", "-tchild", "x"],
        &variables,
        |config| {
            assert_eq!((config.to, config.grace), (To::Child, Some(2_000)));
        },
    );
}

#[test]
fn malformed_options_are_refused() {
    for words in [
        &["-x"][..],
        &["--nope"],
        &["--grac", "1"],
        &["-G", "soon"],
        &["-G"],
        &["--group=1"],
        &["-r", "TERM"],
        &["-r", "KILL:TERM"],
        &["-e", "256"],
        &["-t", "nobody"],
        &["-S", "FOO"],
        &["-D", "xml"],
        &["-n", "old"],
        &["-p", "0"],
        &["-n", "keep", "-g"],
    ] {
        let all: Vec<&str> = ["sexton-init"]
            .iter()
            .chain(words)
            .chain(&["true"])
            .copied()
            .collect();
        assert_eq!(refused(&all), Some(125), "{all:?}");
    }
}

#[test]
fn dumb_inits_malformed_rewrites() {
    for rewrites in [
        &["-r"][..],
        &["-r", ""],
        &["-r", "herp"],
        &["-r", "herp:derp"],
        &["-r", "15"],
        &["-r", "15::12"],
        &["-r", "15:derp"],
        &["-r", "15:12", "-r"],
        &["-r", "15:12", "-r", "0"],
        &["-r", "15:12", "-r", "1:32"],
    ] {
        let all: Vec<&str> = ["dumb-init"].iter().chain(rewrites).copied().collect();
        assert_eq!(refused(&all), Some(1), "{all:?}");
    }
}

#[test]
fn dumb_inits_defaults_and_variables() {
    run(&["dumb-init", "x"], &[], |config| {
        assert_eq!(
            (config.to, config.session, config.grace),
            (To::Group, Session::New, None)
        );
        for stop in 20..=22 {
            assert_eq!(config.rewrites.apply(stop), Some(19));
        }
    });
    run(
        &[
            "dumb-init",
            "-r",
            "20:0",
            "--rewrite",
            "21:1",
            "--verb",
            "x",
        ],
        &[],
        |config| {
            assert_eq!(
                (config.rewrites.apply(20), config.rewrites.apply(21)),
                (None, Some(1))
            );
            assert_eq!(config.verbosity, 1);
        },
    );
    run(
        &["dumb-init", "x"],
        &["DUMB_INIT_SETSID=0", "DUMB_INIT_DEBUG=1"],
        |config| {
            assert_eq!((config.to, config.session), (To::Child, Session::Keep));
            assert_eq!((config.rewrites.apply(20), config.verbosity), (Some(20), 1));
        },
    );
}

#[test]
fn tinis_options_and_variables() {
    run(
        &["tini", "-vvwg", "-e", "143", "-e5", "-p", "SIGUSR1", "x"],
        &[],
        |config| {
            assert_eq!(
                (config.verbosity, config.to, config.parent_death),
                (3, To::Group, Some(10))
            );
            assert_eq!((config.exit_codes.of(143), config.exit_codes.of(5)), (0, 0));
            assert!(!config.subreaper);
        },
    );
    let variables = [
        "TINI_SUBREAPER=",
        "TINI_VERBOSITY=3",
        "TINI_KILL_PROCESS_GROUP=1",
    ];
    run(&["tini", "x"], &variables, |config| {
        assert_eq!(
            (config.verbosity, config.to, config.subreaper),
            (3, To::Group, true)
        );
    });
    for bad in [
        &["-e", "256"][..],
        &["-e", "a"],
        &["-p", "FOO"],
        &["-x"],
        &["--help"],
    ] {
        let all: Vec<&str> = ["tini"]
            .iter()
            .chain(bad)
            .chain(&["true"])
            .copied()
            .collect();
        assert_eq!(refused(&all), Some(1), "{all:?}");
    }
}

#[test]
fn catatonits_pause_needs_no_program() {
    run(&["catatonit", "-P"], &[], |config| {
        assert_eq!(config.command, None);
    });
    run(&["catatonit", "-g", "x"], &[], |config| {
        assert_eq!(config.to, To::Group);
    });
}
