//! Prints what the runtimes of this machine tell of its containers, one JSON document a line:
//!
//! ```sh
//! cargo run -p sexton-runtime --example workloads                # all that are found
//! cargo run -p sexton-runtime --example workloads -- SOCKET      # by this CRI socket
//! cargo run -p sexton-runtime --example workloads -- SOCKET stop ID SECONDS
//! ```
//!
//! It is one thread and starts nothing, which `tests/limit.rs` has the kernel check.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sexton_runtime::{Runtimes, Then};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let sockets: Vec<PathBuf> = args.first().map(PathBuf::from).into_iter().collect();
    let mut runtimes = Runtimes::find(Path::new("/"), &sockets).deadline(Duration::from_secs(60));
    runtimes.refresh();
    for (name, error) in runtimes.notes() {
        eprintln!("{name}: {error}");
    }
    if let [_, stop, id, seconds] = &args[..] {
        if stop != "stop" {
            return Err(format!("{stop}: only `stop` is known").into());
        }
        let grace = Duration::from_secs(seconds.parse()?);
        return Ok(runtimes.end(id, grace, Then::Stay)?.wait()?);
    }
    for workload in runtimes.workloads() {
        println!("{}", serde_json::to_string(workload)?);
    }
    Ok(())
}
