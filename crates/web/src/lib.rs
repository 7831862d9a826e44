//! What serves a page over HTTP, for the agent and for the kubectl plugin: who is answered, how
//! many at once, for how long, and with which headers. What is answered is the caller's matter.
//!
//! One connection carries one request and has one deadline. Everything is read only.

#![forbid(unsafe_code)]

mod answer;
mod door;
mod hosts;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Version, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

pub use answer::Answer;
use door::{Door, Visit};
pub use hosts::Hosts;

/// A request that is not here by then never comes.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of a request, with its headers.
const HEAD: usize = 16 << 10;
/// These are answered whatever else goes on, and under every name: who asks would end the agent
/// for a late answer. They say nothing of any process.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The path, without the query.
    pub path: String,
    /// The query, without the `?`.
    pub query: Option<String>,
    /// The header `Accept`.
    pub accept: Option<String>,
}

/// How it is served.
pub struct Site {
    /// The names under which it may be asked for.
    pub hosts: Hosts,
    /// From the connection to the last byte of the answer.
    pub within: Duration,
}

/// Serves for ever. Runs on the runtime of the caller, which may have a single thread.
pub async fn serve<F, A>(listener: TcpListener, site: Site, answer: F)
where
    F: Fn(Asked) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let site = Arc::new(site);
    let door = Arc::new(Door::default());
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // No descriptors, or the client has gone already.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (site, answer) = (site.clone(), answer.clone());
        door.enter(peer.ip(), |visit| {
            tokio::spawn(connection(stream, site, visit, answer)).abort_handle()
        });
    }
}

async fn connection<F, A>(stream: TcpStream, site: Arc<Site>, visit: Visit, answer: F)
where
    F: Fn(Asked) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let within = site.within;
    let visit = &visit;
    let service = service_fn(|request: Request<Incoming>| {
        let (site, answer) = (site.clone(), answer.clone());
        async move {
            let answer = match check(&request, &site.hosts, visit) {
                Ok(asked) => answer(asked).await,
                Err(refused) => refused,
            };
            Ok::<Response<Full<Bytes>>, Infallible>(answer.into())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Who hangs up early, or is too slow, is no fault of ours.
    let _ = tokio::time::timeout(within, connection).await;
}

/// What is asked for, where it is to be answered.
fn check(request: &Request<Incoming>, hosts: &Hosts, visit: &Visit) -> Result<Asked, Answer> {
    let path = request.uri().path();
    if !HEALTH.contains(&path) {
        check_hosts(request, hosts)?;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Answer::text(405, "read only\n"));
    }
    if !HEALTH.contains(&path) && !visit.may_be_answered() {
        return Err(Answer::text(
            503,
            "too many answers are being read: try again\n",
        ));
    }
    let accept = request.headers().get(header::ACCEPT);
    Ok(Asked {
        path: path.to_owned(),
        query: request.uri().query().map(str::to_owned),
        accept: accept
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
    })
}

/// Every name in the request must be one of ours: that of the header, and that of a target as a
/// proxy is asked for it (`GET http://name/`), which goes before the header.
fn check_hosts(request: &Request<Incoming>, hosts: &Hosts) -> Result<(), Answer> {
    let mut named = request.headers().get_all(header::HOST).iter();
    match (named.next(), named.next()) {
        (Some(host), None) if hosts.contain(host.as_bytes()) => {}
        (Some(_), None) => return Err(foreign()),
        // No browser is so old, and rebinding is done to browsers.
        (None, _) if request.version() == Version::HTTP_10 => {}
        _ => return Err(Answer::text(400, "one header `Host` is needed\n")),
    }
    match request.uri().authority() {
        Some(authority) if !hosts.contain(authority.as_str().as_bytes()) => Err(foreign()),
        _ => Ok(()),
    }
}

fn foreign() -> Answer {
    Answer::text(
        421,
        "this name is not known here: ask for localhost or for an address (an agent is told its \
         other names by --page-host)\n",
    )
}

#[cfg(test)]
mod tests;
