//! The page over HTTP, made anew when somebody looks and it is old.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sexton_page::ClusterView;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::{look, now};
use crate::connect::Connected;
use crate::output::safe_lines;

/// A browser that has not sent its request by then is dropped.
const HEADERS_WITHIN: Duration = Duration::from_secs(5);

/// What was seen last, and how to see more.
struct Shown {
    at: Connected,
    refresh: u32,
    last: Mutex<(Instant, ClusterView)>,
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, at: Connected, first: ClusterView, refresh: u32) {
    let shown = Arc::new(Shown {
        at,
        refresh,
        last: Mutex::new((Instant::now(), first)),
    });
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let shown = shown.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shown = shown.clone();
                async move { Ok::<_, Infallible>(answer(&request, &shown).await) }
            });
            // A browser that hangs up early is no fault.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_WITHIN)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: &Request<Incoming>, shown: &Shown) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST);
    if !host.is_some_and(|host| is_ours(host.as_bytes())) {
        return plain(StatusCode::MISDIRECTED_REQUEST, "ask for 127.0.0.1\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "read only\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    if request.uri().path() != "/" {
        return plain(StatusCode::NOT_FOUND, "not found: /\n");
    }
    // Without the `refresh`: whoever reads a long page wants it to hold still.
    let hold = request.uri().query() == Some("hold");
    let refresh = (!hold).then_some(shown.refresh);
    content("text/html; charset=utf-8", shown.page(refresh).await)
}

impl Shown {
    /// The page; several browsers at once ask the API server only once.
    async fn page(&self, refresh: Option<u32>) -> String {
        let mut last = self.last.lock().await;
        let (when, view) = &mut *last;
        let mut trouble = None;
        if when.elapsed() >= Duration::from_secs(u64::from(self.refresh) / 2) {
            match look(&self.at).await {
                Ok(fresh) => (*when, *view) = (Instant::now(), fresh),
                Err(error) => trouble = Some(safe_lines(&error.to_string())),
            }
        }
        let mut view = view.clone();
        drop(last);
        view.now = now();
        view.refresh = refresh;
        view.gaps
            .extend(trouble.map(|why| format!("Not read anew: {why}")));
        sexton_page::cluster(&view)
    }
}

/// A page of elsewhere that has made its own name mean 127.0.0.1 (DNS rebinding) must not read
/// this one.
fn is_ours(host: &[u8]) -> bool {
    let name = match host.iter().rposition(|byte| *byte == b':') {
        Some(colon) => &host[..colon],
        None => host,
    };
    matches!(name, b"127.0.0.1" | b"localhost")
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = content("text/plain; charset=utf-8", text.to_owned());
    *response.status_mut() = status;
    response
}

fn content(kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, sexton_page::csp()),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for ours in ["127.0.0.1", "127.0.0.1:8080", "localhost:1"] {
            assert!(is_ours(ours.as_bytes()), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example:80",
        ] {
            assert!(!is_ours(other.as_bytes()), "{other}");
        }
    }
}
