//! `origins PID SECONDS`: where a process starts its children, and what became of them.

use std::path::Path;
use std::time::{Duration, Instant};

use sexton_origins::{Places, Symbolizer, Watch};
use sexton_scan::proc::Proc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().ok_or("no PID")?.parse()?;
    let seconds = arguments.next().ok_or("no SECONDS")?.parse()?;
    let proc = Proc::open(Path::new("/proc"))?;
    let process = proc.process(pid)?.ok_or("there is no such process")?;
    let mut watch = Watch::start(&process)?;
    let (mut places, start) = (Places::default(), Instant::now());
    while start.elapsed() < Duration::from_secs(seconds) {
        watch.wait(Duration::from_millis(50));
        for birth in watch.births(&process) {
            places.add(&proc, birth)?;
        }
    }
    places.look(&proc)?;
    std::thread::sleep(Duration::from_secs(1));
    for place in places.sum(&proc, &mut Symbolizer::new(&process)?)? {
        println!(
            "{} started, {} zombies, {} run, {} gone",
            place.started,
            place.standing,
            place.running,
            place.gone()
        );
        if !place.is_known() {
            println!("    The place in the program is not known. These frames were seen:");
        }
        for frame in &place.chain {
            println!("    {frame}");
        }
    }
    println!(
        "{} records lost, {} children missed",
        watch.lost(),
        places.missed()
    );
    Ok(())
}
