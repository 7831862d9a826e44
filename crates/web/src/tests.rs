use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const LONG: usize = 8 << 20;

async fn site() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site {
        hosts: Hosts::named(["ours.example".to_owned()]),
        within: Duration::from_secs(60),
    };
    tokio::spawn(serve(listener, site, |asked: Asked| async move {
        match asked.path.as_str() {
            "/" => Answer::page("here".to_owned()),
            // More than the buffers of a connection hold.
            "/long" => Answer::ok("text/plain", "x".repeat(LONG)),
            "/healthz" => Answer::text(200, "ok\n"),
            _ => Answer::text(404, "not found\n"),
        }
    }));
    address
}

async fn ask(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or(0), answer)
}

async fn status(address: SocketAddr, request: &str) -> u16 {
    ask(address, request).await.0
}

#[tokio::test]
async fn only_our_names_are_answered() {
    let at = site().await;
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: ours.example:1\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
            400,
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            400,
        ),
        (
            "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            421,
        ),
        (
            "GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            421,
        ),
        (
            "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            200,
        ),
        ("GET http://evil.example/ HTTP/1.0\r\n\r\n", 421),
        (
            "GET http://a@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            421,
        ),
        ("POST / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
        ("GET /healthz HTTP/1.1\r\n\r\n", 200),
        ("GET /healthzz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    ] {
        assert_eq!(status(at, request).await, expected, "{request}");
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_and_ends_the_connection() {
    let at = site().await;
    for path in ["/", "/nothing"] {
        let (_, answer) = ask(at, &format!("GET {path} HTTP/1.1\r\nHost: [::1]\r\n\r\n")).await;
        let answer = answer.to_lowercase();
        for header in [
            "connection: close",
            "content-security-policy: default-src 'none'",
            "cross-origin-resource-policy: same-origin",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(header), "{path} {header}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused() {
    let at = site().await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(HEAD)
    );
    let said = status(at, &long).await;
    assert!(said == 0 || said == 431, "{said}");
}

#[tokio::test]
async fn who_says_nothing_keeps_nobody_out() {
    let at = site().await;
    let mut slow = vec![];
    for _ in 0..200 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        slow.push(stream);
        let health = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(status(at, health).await, 200);
    }
    assert_eq!(
        status(at, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await,
        200
    );
}

#[tokio::test]
async fn who_reads_nothing_keeps_no_probe_out() {
    let at = site().await;
    let mut slow = vec![];
    for _ in 0..200 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let long = b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(long).await.unwrap();
        slow.push(stream);
    }
    for _ in 0..50 {
        let health = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(status(at, health).await, 200);
    }
    // The places for long answers are all taken, and it is said so.
    assert_eq!(
        status(at, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await,
        503
    );
    drop(slow);
    while status(at, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
