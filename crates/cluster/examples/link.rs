//! An agent's link alone, to see what it costs: `NODE_NAME=node1 KUBECONFIG=… link [SECONDS]`.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use sexton_cluster::{Cluster, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(10), |text| text.parse())?;
    println!("before: {}", cost()?);
    let node = std::env::var("NODE_NAME")?;
    let cluster = Cluster::start(Settings::new(&node, "sexton", true), || {})?;
    sleep(Duration::from_secs(5));
    println!("linked: {}", cost()?);
    sleep(Duration::from_secs(seconds));
    println!("at rest after {seconds} s: {}", cost()?);
    println!(
        "{} policies, {} containers, {:?}",
        cluster.policies().in_force.len(),
        cluster.workloads().len(),
        cluster.notes()
    );
    Ok(())
}

/// Resident memory, and the CPU time that was used.
fn cost() -> Result<String, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let lines = status
        .lines()
        .filter(|line| line.starts_with("Rss") || line.starts_with("VmRSS"));
    let memory: Vec<String> = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let stat = fs::read_to_string("/proc/self/schedstat")?;
    let nanos: u64 = stat.split_whitespace().next().unwrap_or("0").parse()?;
    let threads = fs::read_dir("/proc/self/task")?;
    let mut all = 0;
    for thread in threads {
        let stat = fs::read_to_string(thread?.path().join("schedstat"))?;
        all += stat
            .split_whitespace()
            .next()
            .unwrap_or("0")
            .parse::<u64>()?;
    }
    Ok(format!(
        "{}; CPU {} ms (main {} ms)",
        memory.join(", "),
        all / 1_000_000,
        nanos / 1_000_000
    ))
}
