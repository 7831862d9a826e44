//! When it ends: leaks of all shapes are driven into their limit, and the real time is compared
//! with the range that was stated while they grew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use sexton_lab::{Cgroup, Running, Skip};

use crate::scenario::Category::TimeLeft;
use crate::scenario::{Scenario, Scene, Verdict};
use crate::situation::{directory, python, which};

/// Forks, and never waits. `pause(n)` are the seconds before child n; after `last` children it
/// only sleeps. Says how many there are, and when fork failed.
const LEAK: &str = "
import math, os, random, sys, time
random.seed(7)
pause = eval('lambda n: ' + sys.argv[1])
last = int(sys.argv[2])
due = time.monotonic()
n = 0
while n < last:
    due += pause(n)
    time.sleep(max(0, due - time.monotonic()))
    try:
        if os.fork() == 0:
            os._exit(0)
    except BlockingIOError:
        print('full', time.time(), flush=True)
        break
    n += 1
    print(n, flush=True)
time.sleep(1000)
";

/// More children than any limit here has room for.
const UNTIL_FULL: u32 = 1_000;
/// What is waited for in vain.
const PATIENCE: Duration = Duration::from_secs(240);
/// Of the watch of an answer.
const SAMPLE: &str = "3";
/// A second is what the answer rounds to.
const ROUNDING: f64 = 1.0;

/// Which limit ends it.
#[derive(Clone, Copy)]
enum Limit {
    /// `pids.max` of its own cgroup.
    Cgroup(u64),
    /// `pids.max` of a cgroup two above it.
    Above(u64),
    /// `RLIMIT_NPROC` of a user that nothing else runs as.
    User(u64),
}

/// Users of nobody's: this, and as many more as there are children when it is asked about.
const USERS: u32 = 64_100;

#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    pause: &'static str,
    limit: Limit,
    /// So many children are there when it is asked about, once for each.
    asked_at: &'static [u32],
}

const SHAPES: &[Shape] = &[
    Shape {
        name: "steady, 2/s",
        pause: "0.5",
        limit: Limit::Cgroup(60),
        asked_at: &[10, 30],
    },
    Shape {
        name: "steady, 8/s",
        pause: "0.125",
        limit: Limit::Cgroup(200),
        asked_at: &[16, 100],
    },
    Shape {
        name: "steady, 2 in 3 s",
        pause: "1.5",
        limit: Limit::Cgroup(30),
        asked_at: &[8, 16],
    },
    Shape {
        name: "by chance, 3/s",
        pause: "random.expovariate(3)",
        limit: Limit::Cgroup(100),
        asked_at: &[20, 50],
    },
    Shape {
        name: "a burst at the start, then 2/s",
        pause: "0 if n < 60 else 0.5",
        limit: Limit::Cgroup(120),
        asked_at: &[75, 95],
    },
    Shape {
        name: "four at once, every 2 s",
        pause: "0 if n % 4 else 2",
        limit: Limit::Cgroup(90),
        asked_at: &[24, 48],
    },
    Shape {
        name: "ever faster",
        pause: "1 / (1 + n / 40)",
        limit: Limit::Cgroup(140),
        asked_at: &[20, 60],
    },
    Shape {
        name: "ever slower",
        pause: "0.2 + n / 150",
        limit: Limit::Cgroup(80),
        asked_at: &[25, 45],
    },
    Shape {
        name: "idle for 15 s, then 4/s",
        pause: "15 if n == 5 else 0.25",
        limit: Limit::Cgroup(150),
        asked_at: &[30, 60],
    },
    Shape {
        name: "a limit above its own cgroup",
        pause: "0.4",
        limit: Limit::Above(60),
        asked_at: &[12, 30],
    },
    Shape {
        name: "its user's limit",
        pause: "0.4",
        limit: Limit::User(60),
        asked_at: &[12, 30],
    },
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    let ends = SHAPES.iter().flat_map(|shape| {
        let ask = move |at: &u32| scenario(*shape, *at, UNTIL_FULL);
        shape.asked_at.iter().map(ask)
    });
    let stopped = [
        ("a dozen at once", "0", 12),
        ("forty at once", "0", 40),
        ("20 at 4/s", "0.25", 20),
        ("12 in 12 s", "1", 12),
    ];
    let rest = stopped.map(|(name, pause, last)| {
        let limit = Limit::Cgroup(100);
        let shape = Shape {
            name,
            pause,
            limit,
            asked_at: &[],
        };
        scenario(shape, last, last)
    });
    ends.chain(rest).collect()
}

/// Asked about when `asked_at` children are there; ends with `last` of them, or with its limit.
fn scenario(shape: Shape, asked_at: u32, last: u32) -> Scenario {
    let stops = if last == UNTIL_FULL {
        ""
    } else {
        ", and no more"
    };
    Scenario {
        name: format!("{}{stops}, asked at {asked_at}", shape.name),
        category: TimeLeft,
        start: Box::new(move || {
            python()?;
            // What it stands in is made when its turn has come: it is not to be full before.
            drop(Cgroup::new("left")?);
            if matches!(shape.limit, Limit::User(_)) {
                which("setpriv")?;
            }
            Ok(Box::new(Ending {
                shape,
                asked_at,
                last,
            }))
        }),
    }
}

struct Ending {
    shape: Shape,
    asked_at: u32,
    last: u32,
}

impl Scene for Ending {
    fn judge(self: Box<Self>) -> Verdict {
        self.verdict().unwrap_or_else(Verdict::failed)
    }
}

impl Ending {
    fn verdict(&self) -> Result<Verdict, String> {
        let dir = directory();
        let leak = Grown::start(self, dir.path()).map_err(|skip| skip.to_string())?;
        let there = self.asked_at.to_string();
        leak.wait_for(|line| line == there)?;
        if self.last == UNTIL_FULL {
            return self.of_one_that_ends(&leak);
        }
        // Longer than its children were apart.
        thread::sleep(Duration::from_secs(4));
        let (forecast, _) = leak.forecast()?;
        let right = forecast["secondsLeft"].is_null() && forecast["trend"] != "growing";
        Ok(verdict(right, &forecast, "stopped"))
    }

    fn of_one_that_ends(&self, leak: &Grown) -> Result<Verdict, String> {
        let (forecast, between) = leak.forecast()?;
        let line = leak.wait_for(|line| line.starts_with("full "))?;
        let full: f64 = line["full ".len()..].parse().map_err(|_| line.clone())?;
        // The answer is of some moment between these two.
        let (longest, shortest) = (full - between.0, full - between.1);
        let range = &forecast["secondsLeftRange"];
        let right = range[0].as_f64().is_some_and(|earliest| {
            let latest = range[1].as_f64().unwrap_or(f64::INFINITY);
            earliest - ROUNDING <= longest && shortest <= latest + ROUNDING
        });
        Ok(verdict(
            right,
            &forecast,
            &format!("really {shortest:.1} to {longest:.1} s"),
        ))
    }
}

fn verdict(right: bool, forecast: &Value, really: &str) -> Verdict {
    let part = |name: &str| forecast[name].to_string();
    Verdict {
        right,
        high_and_wrong: !right && forecast["confidence"] == "high",
        said: format!(
            "{really}; said {} {} s of {} ({}), {}",
            part("trend"),
            part("secondsLeft"),
            part("secondsLeftRange"),
            part("confidence"),
            part("basis"),
        ),
    }
}

/// A leak that runs.
struct Grown {
    holder: u32,
    /// What it printed.
    said: PathBuf,
    _running: Running,
    _cgroup: Cgroup,
}

impl Grown {
    fn start(of: &Ending, dir: &Path) -> Result<Self, Skip> {
        let cgroup = Cgroup::new("left")?;
        let python = python()?;
        let mut command = match of.shape.limit {
            Limit::Cgroup(max) => {
                cgroup.set_pids_max(max);
                cgroup.command("env")
            }
            Limit::Above(max) => {
                cgroup.set_pids_max(max);
                cgroup.make("pod/container");
                cgroup.command_in("pod/container", "env")
            }
            Limit::User(max) => {
                let mut command = cgroup.command("prlimit");
                let user = format!("--reuid={}", USERS + of.asked_at);
                command.args([&format!("--nproc={max}:{max}"), "setpriv", &user]);
                command.args(["--clear-groups", "--"]);
                command
            }
        };
        let said = dir.join("said");
        let out = File::create(&said).map_err(|error| Skip(error.to_string()))?;
        command
            .args([&python, "-c", LEAK, of.shape.pause, &of.last.to_string()])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::inherit());
        let running = Running::start(&mut command);
        Ok(Self {
            holder: running.pid(),
            said,
            _running: running,
            _cgroup: cgroup,
        })
    }

    /// The first of its lines that `fits`.
    fn wait_for(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(&self.said).unwrap_or_default();
            // The last may be half written.
            let mut whole = text
                .split_inclusive('\n')
                .filter_map(|l| l.strip_suffix('\n'));
            if let Some(line) = whole.find(|line| fits(line)) {
                return Ok(line.to_owned());
            }
            if began.elapsed() > PATIENCE {
                let last = text.lines().last().unwrap_or_default();
                return Err(format!("waited in vain; it said {last:?} last"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is said of it, and between which two moments the last look was.
    fn forecast(&self) -> Result<(Value, (f64, f64)), String> {
        let begun = now();
        let output = Command::new(env!("CARGO_BIN_EXE_sexton"))
            .args(["explain", &self.holder.to_string()])
            .args(["--sample", SAMPLE, "-o", "json"])
            .output()
            .expect("sexton was built");
        let answered = now();
        let answer: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).trim().to_owned())?;
        let leaks = answer["leaks"].as_array().into_iter().flatten();
        let mut its = leaks.filter(|leak| leak["holder"]["pid"] == self.holder);
        let leak = its.next().ok_or("it has no zombies")?;
        Ok((leak["forecast"].clone(), (begun, answered)))
    }
}

/// As Python's `time.time()`.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
