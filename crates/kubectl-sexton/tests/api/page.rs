//! The page as it is served.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::world::world;

/// Ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_is_served_on_loopback_with_its_policy() {
    let Some(world) = world() else { return };
    let mut command = world.command(&["page"]);
    let mut served = Ends(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(served.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split_once("http://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(address, _)| address.to_owned())
        .unwrap_or_else(|| panic!("{line}"));
    assert!(address.starts_with("127.0.0.1:"), "{line}");

    let page = get(&address, "/", &address);
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    let policy = format!("content-security-policy: {}\r\n", sexton_page::csp());
    assert!(page.contains(&policy), "{page}");
    for words in [
        "<h1>lab</h1>",
        "http-equiv=\"refresh\" content=\"30\"",
        "shop/crawler-0",
        "Selenium under Python",
        "within 1h",
        "AgentDown",
        "NoReport",
        "Deployment/web",
        "1 of 3 nodes",
        "the audit log cannot be written",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let held = get(&address, "/?hold", &address);
    assert!(!held.contains("http-equiv=\"refresh\""));
    // A name that somebody else has pointed at loopback.
    let other = get(&address, "/", "evil.example");
    assert!(other.starts_with("HTTP/1.1 421 "), "{other}");
    assert!(!other.contains("crawler"));
    assert!(get(&address, "/etc", &address).starts_with("HTTP/1.1 404 "));
}

#[test]
fn it_can_be_saved() {
    let Some(world) = world() else { return };
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    let file = dir.path().join("cluster.html");
    world
        .run(&["page", "--save", file.to_str().unwrap()])
        .fine();
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.contains("<h1>lab</h1>") && !page.contains("http-equiv=\"refresh\""));
}
