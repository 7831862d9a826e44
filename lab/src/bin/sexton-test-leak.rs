//! Leaks zombies as told; see `sexton_lab::Leak` for the options and the lines it prints.
//!
//! It starts itself once more for each child, with the first argument `child`, so that the
//! child's name and end can be chosen.

use std::ffi::{CString, OsStr};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio, exit};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{park, sleep, spawn};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

struct Options {
    count: u32,
    interval: Duration,
    then: Then,
    threads: u32,
    name: String,
    exit: String,
    signal: String,
}

/// What comes after the leak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// More children, waited for.
    Wait,
    /// Nothing.
    Sleep,
    /// A write that never ends.
    Block,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [kind, name, code, signal] = arguments.as_slice()
        && kind == "child"
    {
        child(name, number(code), number(signal));
    }
    let options: &'static Options = Box::leak(Box::new(parse(&arguments)));
    for _ in 1..options.threads {
        spawn(|| leak(options));
    }
    leak(options);
}

fn parse(arguments: &[String]) -> Options {
    let mut options = Options {
        count: 0,
        interval: Duration::ZERO,
        then: Then::Wait,
        threads: 1,
        name: "true".to_owned(),
        exit: "0".to_owned(),
        signal: "0".to_owned(),
    };
    for pair in arguments.chunks(2) {
        let [option, value] = pair else {
            usage(&format!("{} wants a value", pair[0]));
        };
        match option.as_str() {
            "--count" => options.count = number(value),
            "--interval-ms" => options.interval = Duration::from_millis(number(value).into()),
            "--then" => {
                options.then = match value.as_str() {
                    "sleep" => Then::Sleep,
                    "block" => Then::Block,
                    _ => usage(&format!("unknown --then {value}")),
                }
            }
            "--threads" => options.threads = number(value),
            "--name" => options.name.clone_from(value),
            "--exit" => options.exit.clone_from(value),
            "--signal" => options.signal.clone_from(value),
            _ => usage(&format!("unknown option {option}")),
        }
    }
    options
}

fn number(text: &str) -> u32 {
    text.parse()
        .unwrap_or_else(|_| usage(&format!("{text} is not a number")))
}

fn usage(problem: &str) -> ! {
    eprintln!("sexton-test-leak: {problem}");
    exit(2)
}

fn leak(options: &Options) {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    static LEAKED: AtomicU32 = AtomicU32::new(0);
    static FINISHED: AtomicU32 = AtomicU32::new(0);
    loop {
        let leaking = options.count == 0 || LEAKED.fetch_add(1, Ordering::SeqCst) < options.count;
        if !leaking && options.then != Then::Wait {
            // Only the last thread to come here knows that all children were started.
            if FINISHED.fetch_add(1, Ordering::SeqCst) + 1 == options.threads {
                println!("done");
            }
            if options.then == Then::Block {
                fill_a_pipe();
            }
            loop {
                park();
            }
        }
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        match start_child(options) {
            Ok(mut child) => {
                println!("{n} ok");
                if leaking {
                    // Dropping a `Child` does not wait for it: that is the leak.
                    drop(child);
                    sleep(options.interval);
                } else {
                    let _ = child.wait();
                    sleep(Duration::from_millis(100));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                LEAKED.fetch_sub(u32::from(leaking), Ordering::SeqCst);
                println!("{n} EAGAIN");
                sleep(Duration::from_millis(50));
            }
            Err(error) => usage(&error.to_string()),
        }
    }
}

/// Does not return: nobody reads the other end.
fn fill_a_pipe() {
    if let Ok((_reader, mut writer)) = std::io::pipe() {
        let _ = writer.write_all(&[0; 1 << 20]);
    }
}

fn start_child(options: &Options) -> std::io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg0(&options.name)
        .args(["child", &options.name, &options.exit, &options.signal])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}

fn child(name: &str, code: u32, signal: u32) -> ! {
    if let Ok(name) = CString::new(OsStr::new(name).as_bytes()) {
        // Refused never: the kernel cuts what is too long.
        let _ = rustix::thread::set_name(&name);
    }
    if let Some(signal) = i32::try_from(signal).ok().and_then(Signal::from_named_raw) {
        let _ = kill_process(getpid(), signal);
    }
    exit(i32::try_from(code).unwrap_or(255))
}
