//! The page is for its owner: not for web pages of elsewhere, not without end, and without what
//! may be secret.

use std::io::Write;
use std::net::TcpStream;

use sexton_lab::{Container, Leak, Runtime, require, require_root, wait_until};

use crate::agent::{Place, request};

fn ask(address: &str, path: &str, host: &str) -> u16 {
    let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    request(address, &text).0
}

#[test]
fn a_name_of_elsewhere_reads_nothing() {
    let place = Place::new();
    let mut command = place.command();
    command.args(["--page-host", "node1.example"]);
    let agent = crate::agent::Agent::start(command);
    agent.looks(1);
    let address = agent.address();
    let port = address.rsplit(':').next().unwrap();
    for path in ["/", "/report", "/metrics", "/nothing"] {
        for ours in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "10.1.2.3",
            "node1.example",
            "NODE1.example.",
        ] {
            let host = format!("{ours}:{port}");
            assert_ne!(ask(&address, path, &host), 421, "{path} {host}");
        }
        for other in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "1",
        ] {
            for host in [other.to_owned(), format!("{other}:{port}")] {
                assert_eq!(ask(&address, path, &host), 421, "{path} {host}");
            }
        }
    }
    // Whoever probes by a name of its own must not be told that the agent is ill.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&address, path, "probe.example"), 200, "{path}");
    }
}

#[test]
fn two_hundred_slow_clients_keep_no_probe_out() {
    let place = Place::new();
    let agent = place.agent();
    agent.looks(1);
    let address = agent.address();
    let mut slow: Vec<TcpStream> = vec![];
    for number in 0..200 {
        let mut stream = TcpStream::connect(&address).unwrap();
        let begun = match number % 3 {
            0 => "",
            1 => "GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
            // Asks for much, and reads nothing.
            _ => "GET /report HTTP/1.1\r\nHost: localhost\r\n\r\n",
        };
        stream.write_all(begun.as_bytes()).unwrap();
        slow.push(stream);
        assert_eq!(
            ask(&address, "/healthz", "localhost"),
            200,
            "beside {number}"
        );
    }
    // A byte now and then makes no client a fast one.
    for round in 0..20 {
        for stream in &mut slow {
            let _ = stream.write_all(b"x");
        }
        assert_eq!(ask(&address, "/healthz", "localhost"), 200, "{round}");
        assert_eq!(ask(&address, "/readyz", "localhost"), 200, "{round}");
    }
    drop(slow);
    wait_until("the page is served again", || {
        (ask(&address, "/", "localhost") == 200).then_some(())
    });
}

#[test]
fn arguments_are_in_the_audit_log_and_not_on_the_page() {
    if require(require_root()).is_none() {
        return;
    }
    let Some(runtime) = require(Runtime::any()) else {
        return;
    };
    const SECRET: &str = "hunter2secret";
    let place = Place::new();
    let mut program = Leak::new().count(3).then_sleep().program();
    // The last of an option counts, so that no child bears the name.
    let arguments = ["--name", SECRET, "--name", "true"];
    program.argv.extend(arguments.map(str::to_owned));
    let container = Container::builder(&runtime).start(&program);
    place.covers("all", &container, "  mode: dryRun\n  settle: 100ms\n");
    let agent = place.agent();
    wait_until("it is in the log", || {
        let records = place.records();
        let line = records.iter().find(|line| line["entry"] == "intent")?;
        line["commandLine"]
            .to_string()
            .contains(SECRET)
            .then_some(())
    });
    // Causes and the audit are found meanwhile, and quote commands.
    wait_until("the causes are known", || {
        let report = agent.get("/report").1;
        let body = report.split("\r\n\r\n").nth(1)?;
        let report: serde_json::Value = serde_json::from_str(body).ok()?;
        let leaks = report["leaks"].as_array()?;
        let leak = leaks
            .iter()
            .find(|leak| leak["container"]["id"] == container.id())?;
        (!leak["causes"].as_array()?.is_empty()).then_some(())
    });
    for path in ["/", "/report", "/metrics"] {
        let answer = agent.get(path).1;
        assert!(!answer.contains(SECRET), "{path}: {answer}");
    }

    drop(agent);
    let mut command = place.command();
    command.arg("--page-arguments");
    let agent = crate::agent::Agent::start(command);
    wait_until("it is shown where that is asked for", || {
        agent.get("/report").1.contains(SECRET).then_some(())
    });
}
