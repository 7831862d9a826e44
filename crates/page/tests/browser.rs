//! The page in a real Chromium: no complaint, no overflow on a phone, not blank.

#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "../examples/cluster/situation.rs"]
mod clusters;
#[path = "../examples/node/situation.rs"]
mod situation;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use sexton_page::ClusterView;
use situation::Situation;

/// What a narrow phone has.
const PHONE: u32 = 360;

/// Tells how much wider than its frame the page in it is, opened leaks included. The page itself
/// runs no script; the one around it does.
const RULER: &str = "<!doctype html><body><iframe id=f src=/plain></iframe><script>
f.width = WIDTH; f.height = 900;
onload = () => {
  const d = f.contentDocument;
  const by = () => d.documentElement.scrollWidth - d.documentElement.clientWidth;
  const closed = by();
  d.querySelectorAll('details').forEach(e => e.open = true);
  const s = d.createElement('p'); document.body.append(s);
  s.textContent = `overflow closed ${closed} open ${by()} leaks ${d.querySelectorAll('.leak').length} cells ${d.querySelectorAll('.heat > li').length}`;
};
</script>";

fn chromium() -> Option<PathBuf> {
    let found = std::env::var_os("PATH").and_then(|path| {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        std::env::split_paths(&path)
            .flat_map(|dir| names.map(|name| dir.join(name)))
            .find(|file| file.is_file())
    });
    if found.is_none() {
        println!("SKIP: no Chromium here (apt-get install chromium)");
    }
    found
}

/// Serves a page under `/` as the agent does, and under `/plain` without its policy, which
/// forbids frames.
fn serve(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser that hangs up early is no fault.
            let _ = answer(stream, &page);
        }
    });
    address
}

fn answer(mut stream: TcpStream, page: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let csp = format!("Content-Security-Policy: {}\r\n", sexton_page::csp());
    let (status, header, body) = match request.split(' ').nth(1) {
        Some("/") => ("200 OK", csp.as_str(), page.to_owned()),
        Some("/plain") => ("200 OK", "", page.to_owned()),
        Some("/ruler") => ("200 OK", "", RULER.replace("WIDTH", &PHONE.to_string())),
        _ => ("404 Not Found", "", String::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n{header}\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Runs Chromium to its end; what it printed, and what it complained about.
fn run(chromium: &Path, arguments: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args(["--kill-after=5", "60"])
        .arg(chromium)
        // A sandbox of its own is not to be had as root or in a container.
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .args([
            "--enable-logging=stderr",
            "--log-level=0",
            "--virtual-time-budget=5000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {stderr}", output.status);
    (String::from_utf8_lossy(&output.stdout).into_owned(), stderr)
}

fn check(name: &str, mut situation: Situation) {
    situation.report.leaks.truncate(20);
    let mut view = situation.view();
    // With virtual time a page that renews itself would never be done.
    view.refresh = None;
    let leaks = situation.report.leaks.len();
    look(
        name,
        sexton_page::node(&view),
        &format!("leaks {leaks} cells 0"),
    );
}

fn check_cluster(name: &str, mut view: ClusterView) {
    view.refresh = None;
    let nodes = view.nodes.len();
    look(
        name,
        sexton_page::cluster(&view),
        &format!("leaks 0 cells {nodes}"),
    );
}

/// Looks at a page as it is served, and on a phone.
fn look(name: &str, page: String, there: &str) {
    let Some(chromium) = chromium() else { return };
    let address = serve(page);
    let shot = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
    let _ = std::fs::remove_file(&shot);
    let (_, log) = run(
        &chromium,
        &[
            "--window-size=1280,2000",
            &format!("--screenshot={}", shot.display()),
            &format!("{address}/"),
        ],
    );
    let said: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(said.is_empty(), "{said:#?}");
    // A blank page of this size is below 10 kB.
    let size = std::fs::metadata(&shot).unwrap().len();
    assert!(size > 20_000, "{} is blank: {size} bytes", shot.display());
    println!("{}", shot.display());

    let (dom, _) = run(&chromium, &["--dump-dom", &format!("{address}/ruler")]);
    let expected = format!("overflow closed 0 open 0 {there}");
    assert!(dom.contains(&expected), "{expected}: {dom}");
}

#[test]
fn a_bad_night() {
    check("busy", situation::busy());
}

#[test]
fn a_quiet_night() {
    check("quiet", situation::quiet());
}

#[test]
fn names_that_try_to_be_markup() {
    check("hostile", situation::hostile());
}

#[test]
fn three_nodes() {
    check_cluster("three", clusters::cluster(3));
}

#[test]
fn sixty_nodes() {
    check_cluster("sixty", clusters::cluster(60));
}

#[test]
fn five_thousand_nodes() {
    check_cluster("five-thousand", clusters::cluster(5_000));
}

#[test]
fn a_quiet_cluster() {
    check_cluster("quiet-cluster", clusters::quiet());
}

#[test]
fn names_in_a_cluster_that_try_to_be_markup() {
    check_cluster("hostile-cluster", clusters::hostile());
}

#[test]
fn a_violation_would_be_seen() {
    let Some(chromium) = chromium() else { return };
    let page = sexton_page::node(&situation::quiet().view());
    let page = page.replace("http-equiv=\"refresh\"", "name=\"none\"");
    let address = serve(page.replace("</body>", "<p style=\"color:red\">x</p></body>"));
    let (_, log) = run(&chromium, &["--dump-dom", &format!("{address}/")]);
    assert!(
        log.contains("CONSOLE") && log.contains("Content Security Policy"),
        "{log}"
    );
}
