//! The agent's page, metrics and report over HTTP. Reading only: nothing on it acts.
//!
//! One thread with one event loop, started before anything else happens: a request at the PID
//! limit needs no new thread.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::guard;
use super::state::Shared;
use crate::error::Error;

/// Connections served at once; others wait to be accepted.
const CONNECTIONS: usize = 64;
/// A client that has not sent its request by then, or not read the answer, is dropped.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);
const DONE_WITHIN: Duration = Duration::from_secs(30);

/// Starts serving; the address is bound when this returns.
///
/// # Errors
/// The address is taken or not ours, or no thread can be made.
pub fn start(address: SocketAddr, shared: Arc<Shared>) -> Result<SocketAddr, Error> {
    let taken = |cause| Error::Listen { address, cause };
    let listener = TcpListener::bind(address).map_err(taken)?;
    let bound = listener.local_addr().map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    guard::thread("serve", None, move || {
        runtime.block_on(accept(listener, shared));
    })?;
    Ok(bound)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the page is not served");
            return;
        }
    };
    // The tasks are this thread's own: a current-thread runtime gives them to no other.
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No descriptors, or the client has gone already.
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&request, &shared);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_WITHIN)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(DONE_WITHIN, connection).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "read only\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    let snapshot = shared.snapshot();
    match request.uri().path() {
        "/" => {
            // Without the `refresh`: whoever reads a long page wants it to hold still.
            let hold = request.uri().query() == Some("hold");
            content("text/html; charset=utf-8", snapshot.page(hold))
        }
        "/report" => match snapshot.report_json() {
            Ok(json) => content("application/json", json),
            Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        },
        "/metrics" => {
            let accepts = request.headers().get(header::ACCEPT);
            let (kind, text) = snapshot.metrics(accepts.and_then(|value| value.to_str().ok()));
            content(kind, text)
        }
        "/healthz" => health(shared.is_alive()),
        "/readyz" => health(snapshot.is_ready()),
        _ => plain(
            StatusCode::NOT_FOUND,
            "not found: / /metrics /report /healthz /readyz\n",
        ),
    }
}

fn health(problem: Result<(), String>) -> Response<Full<Bytes>> {
    match problem {
        Ok(()) => plain(StatusCode::OK, "ok\n"),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = content("text/plain; charset=utf-8", text.to_owned());
    *response.status_mut() = status;
    response
}

fn content(kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(sexton_page::csp()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
