//! The agent's page, metrics and report over HTTP. Reading only: nothing on it acts.
//!
//! One thread with one event loop, started before anything else happens: a request at the PID
//! limit needs no new thread.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use sexton_web::{Answer, Asked, Hosts, Site};

use super::guard;
use super::metrics::{self, Form};
use super::state::Shared;
use crate::error::Error;

/// From the connection to the last byte of the answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Starts serving; the address is bound when this returns.
///
/// # Errors
/// The address is taken or not ours, or no thread can be made.
pub fn start(address: SocketAddr, hosts: Hosts, shared: Arc<Shared>) -> Result<SocketAddr, Error> {
    let taken = |cause| Error::Listen { address, cause };
    let listener = TcpListener::bind(address).map_err(taken)?;
    let bound = listener.local_addr().map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let site = Site {
        hosts,
        within: WITHIN,
    };
    guard::thread("serve", None, move || {
        runtime.block_on(serve(listener, site, shared));
    })?;
    Ok(bound)
}

async fn serve(listener: TcpListener, site: Site, shared: Arc<Shared>) {
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            sexton_web::serve(listener, site, move |asked| {
                let answer = answer(&asked, &shared);
                async move { answer }
            })
            .await;
        }
        Err(error) => tracing::error!(%error, "the page is not served"),
    }
}

fn answer(asked: &Asked, shared: &Shared) -> Answer {
    let snapshot = shared.snapshot();
    match asked.path.as_str() {
        // Without the `refresh`: whoever reads a long page wants it to hold still.
        "/" => Answer::page(snapshot.page(asked.query.as_deref() == Some("hold"))),
        "/report" => match snapshot.report_json() {
            Ok(json) => Answer::ok("application/json", json),
            Err(why) => Answer::text(503, format!("{why}\n")),
        },
        "/metrics" => {
            let form = Form::asked_for(asked.accept.as_deref());
            let (kind, text) = (form.content_type(), metrics::render(&snapshot, form));
            Answer::ok(kind, text)
        }
        "/healthz" => health(shared.is_alive()),
        "/readyz" => health(snapshot.is_ready()),
        _ => Answer::text(404, "not found: / /metrics /report /healthz /readyz\n"),
    }
}

fn health(problem: Result<(), String>) -> Answer {
    match problem {
        Ok(()) => Answer::text(200, "ok\n"),
        Err(why) => Answer::text(503, format!("{why}\n")),
    }
}
