//! What is served, and how it is told to systemd.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use sexton_lab::wait_until;

use crate::agent::{Agent, Place, SEXTON, request};

#[test]
fn all_paths_answer_and_none_acts() {
    let place = Place::new();
    let agent = place.agent();
    agent.looks(1);
    for (path, kind) in [
        ("/", "text/html"),
        ("/report", "application/json"),
        ("/metrics", "text/plain"),
        ("/healthz", "text/plain"),
        ("/readyz", "text/plain"),
    ] {
        let (status, answer) = agent.get(path);
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(
            answer
                .to_lowercase()
                .contains(&format!("content-type: {kind}")),
            "{path}: {answer}"
        );
        assert!(
            answer
                .to_lowercase()
                .contains("content-security-policy: default-src 'none'"),
            "{path}"
        );
    }
    assert_eq!(agent.get("/nothing").0, 404);
    assert_eq!(agent.get("/../etc/passwd").0, 404);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let text = format!(
            "{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(request(&agent.address(), &text).0, 405, "{method}");
    }
    let open = request(
        &agent.address(),
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text;version=1.0.0\r\nConnection: close\r\n\r\n",
    );
    assert!(open.1.trim_end().ends_with("# EOF"), "{}", open.1);
    let head = request(
        &agent.address(),
        "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(head.0, 200);
    assert!(head.1.ends_with("\r\n\r\n"), "{}", head.1);
}

#[test]
fn many_clients_that_say_nothing_do_not_keep_others_out_for_long() {
    let place = Place::new();
    let agent = place.agent();
    agent.looks(1);
    let _silent: Vec<_> = (0..80)
        .map(|_| std::net::TcpStream::connect(agent.address()).unwrap())
        .collect();
    assert_eq!(agent.get("/healthz").0, 200);
}

#[test]
fn systemd_is_told_that_it_is_ready_and_lives_and_stops() {
    let place = Place::new();
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut command = place.command();
    command.env("NOTIFY_SOCKET", &path);
    let agent = Agent::start(command);
    let mut heard = String::new();
    let mut hear = |what: &str| {
        wait_until(what, || {
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).ok()?;
            heard += &String::from_utf8_lossy(&buffer[..length]);
            heard += "\n";
            heard.contains(what).then_some(())
        });
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    agent.end(Signal::TERM);
    hear("STOPPING=1");
}

#[test]
fn the_unit_of_systemd_is_sound() {
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/systemd/sexton-agent.service"
    );
    let Ok(output) = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=35", unit])
        .output()
    else {
        println!("SKIP: the_unit_of_systemd_is_sound: no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn wrong_settings_are_said_with_file_and_field() {
    let place = Place::new();
    let file = place.path().join("agent.yaml");
    std::fs::write(&file, "interval: 10s\nlisten: nowhere\n").unwrap();
    let output = Command::new(SEXTON)
        .args(["agent", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("agent.yaml") && said.contains("127.0.0.1:9713"),
        "{said}"
    );
}
