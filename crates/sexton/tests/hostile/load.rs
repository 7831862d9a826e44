//! Every attack at once, in one container, beside two victims: the agent stays alive and small, it
//! answers, and the victims are served.

use std::time::{Duration, Instant};

use sexton_lab::{Cgroup, Container, Leak, Program, Runtime, require, wait_until, zombies_of};

use crate::agent::{Agent, Place, SEXTON, metric};

/// What the agent has to live in.
const MEMORY: u64 = 64 << 20;
/// What it may use of that at the most, in kB. Without optimization code is larger.
const PEAK_KB: u64 = if cfg!(debug_assertions) {
    56_000
} else {
    32_000
};
/// Zombies of a victim, which makes one a second, that may stand at any one moment.
const STANDING: usize = 60;

#[test]
fn all_attacks_at_once() {
    let Some(seen) = under_load(Duration::from_secs(20)) else {
        return;
    };
    println!("{seen:?}");
    seen.holds();
}

/// `make hostile`. `SEXTON_HOSTILE_SECONDS` says how long.
#[test]
#[ignore = "ten minutes"]
fn ten_minutes_of_hostile_load() {
    let seconds = std::env::var("SEXTON_HOSTILE_SECONDS").ok();
    let seconds = seconds.map_or(600, |text| text.parse().unwrap());
    let Some(seen) = under_load(Duration::from_secs(seconds)) else {
        return;
    };
    println!("{seen:#?}");
    seen.holds();
    // A build for tests has the brake off: it takes many times the processor time of a released one.
    assert!(
        cfg!(debug_assertions) || seen.percent_of_a_core <= 10.0,
        "the brake holds it at 10% of a core"
    );
    let (first, second) = seen.largest_kb;
    assert!(
        second <= first + first / 20,
        "it grew: {first} kB in the first half, {second} kB in the second"
    );
}

/// What was seen of an agent under load.
#[derive(Debug)]
struct Seen {
    /// The most memory that it had at once (`VmHWM`).
    peak_kb: u64,
    /// `VmRSS` at its largest, in the first half of the run and in the second.
    largest_kb: (u64, u64),
    percent_of_a_core: f64,
    /// Answers of `/healthz`, and those that were not 200.
    asked: u64,
    unwell: u64,
    looks: f64,
    /// The most zombies of one victim that stood at once.
    most_standing: usize,
    /// Zombies that were taken, of victims and of those that mean harm.
    taken: f64,
}

impl Seen {
    fn holds(&self) {
        assert!(self.peak_kb <= PEAK_KB, "it took {} kB", self.peak_kb);
        assert_eq!(
            self.unwell, 0,
            "/healthz was 200 each of {} times",
            self.asked
        );
        assert!(self.looks >= 3.0, "it went on looking");
        assert!(
            self.most_standing <= STANDING,
            "{} zombies of a victim stood at once",
            self.most_standing
        );
    }
}

fn under_load(time: Duration) -> Option<Seen> {
    let runtime = require(Runtime::any())?;
    let attack = require(Program::hostile(&["all", "/tmp"]))?;
    let mut cgroup = require(Cgroup::new("hostile-agent"))?;
    require(cgroup.set_memory_max(MEMORY))?;
    let victims: Vec<Container> = (0..2)
        .map(|_| {
            // Near its limit, so that it is dealt with every few seconds.
            let program = Leak::new().interval_ms(1_000).program();
            Container::builder(&runtime).pids_limit(100).start(&program)
        })
        .collect();
    let hostile = Container::builder(&runtime)
        .uid(65_534)
        .pids_limit(400)
        .start(&attack);
    hostile.wait_for_line(0, |line| line == "ready all");

    let place = Place::new();
    for (name, container) in ["hostile", "victim-0", "victim-1"]
        .into_iter()
        .zip([&hostile].into_iter().chain(&victims))
    {
        place.covers(name, container, "  mode: enforce\n  settle: 100ms\n");
    }
    let mut command = cgroup.command(SEXTON);
    place.arguments(&mut command);
    let mut agent = Agent::start(command);
    agent.looks(1);
    let seen = watch(&mut agent, &victims, time);
    // What was left a moment before the end goes, too.
    for victim in &victims {
        wait_until("a victim has next to none", || {
            (zombies_of(victim.pid()).len() <= 3).then_some(())
        });
    }
    Some(seen)
}

fn watch(agent: &mut Agent, victims: &[Container], time: Duration) -> Seen {
    let pid = agent.pid();
    let (began, ticks) = (Instant::now(), processor_ticks(pid));
    let mut seen = Seen {
        peak_kb: 0,
        largest_kb: (0, 0),
        percent_of_a_core: 0.0,
        asked: 0,
        unwell: 0,
        looks: 0.0,
        most_standing: 0,
        taken: 0.0,
    };
    while began.elapsed() < time {
        let half = if began.elapsed() < time / 2 {
            &mut seen.largest_kb.0
        } else {
            &mut seen.largest_kb.1
        };
        *half = (*half).max(status_kb(pid, "VmRSS:"));
        seen.asked += 1;
        seen.unwell += u64::from(agent.get("/healthz").0 != 200);
        let standing = victims.iter().map(|victim| zombies_of(victim.pid()).len());
        seen.most_standing = seen.most_standing.max(standing.max().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(500));
    }
    let used =
        (processor_ticks(pid) - ticks) as f64 / rustix::param::clock_ticks_per_second() as f64;
    seen.percent_of_a_core = 100.0 * used / began.elapsed().as_secs_f64();
    seen.peak_kb = status_kb(pid, "VmHWM:");
    let metrics = agent.get("/metrics").1;
    seen.looks = metric(&metrics, "sexton_scan_duration_seconds_count");
    seen.taken = metrics
        .lines()
        .filter(|line| line.starts_with("sexton_zombies_reaped_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    seen
}

/// A line of `/proc/PID/status` that counts kB.
fn status_kb(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{name} of the agent: {status}"))
}

/// User and system time of a process, in clock ticks (`proc_pid_stat(5)`, 14 and 15).
fn processor_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum()
}
