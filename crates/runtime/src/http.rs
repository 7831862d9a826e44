//! Docker's HTTP API, which Podman serves too.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use crate::files::is_whole_id;
use crate::pending::executor;
use crate::{Error, PATIENCE, Pending, Then};

/// Longer than any message of an error.
const LONGEST_BODY: usize = 64 << 10;

/// `POST /containers/ID/stop` or `/restart`.
pub(crate) fn end(
    socket: PathBuf,
    id: &str,
    grace: Duration,
    then: Then,
) -> Result<Pending, Error> {
    let call = match then {
        Then::Stay => "stop",
        Then::StartAgain => "restart",
    };
    let refused = |path: PathBuf, message| Error::Refused {
        path,
        call,
        message,
    };
    if !is_whole_id(id) {
        return Err(refused(socket, format!("{id:?} is not a whole id")));
    }
    let executor = executor().map_err(|error| Error::io(&socket, error))?;
    // Without a version in the path the server takes it as its newest.
    let seconds = grace.as_millis().div_ceil(1000);
    let request = Request::post(format!("/containers/{id}/{call}?t={seconds}"))
        .header("Host", "localhost")
        .body(Empty::<Bytes>::new());
    let request = request.map_err(|error| refused(socket.clone(), error.to_string()))?;
    let limit = grace.saturating_add(PATIENCE);
    let path = socket.clone();
    let exchange = async move {
        let away = |error: hyper::Error| Error::away(&socket, error);
        let stream = tokio::net::UnixStream::connect(&socket).await;
        let stream = stream.map_err(|error| Error::away(&socket, error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(away)?;
        let status = response.status();
        // 304: it had ended before.
        let gone = status == StatusCode::NOT_FOUND && then == Then::Stay;
        if status.is_success() || status == StatusCode::NOT_MODIFIED || gone {
            return Ok(());
        }
        let body = Limited::new(response.into_body(), LONGEST_BODY)
            .collect()
            .await;
        let body = body
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let message = match serde_json::from_slice::<Complaint>(&body) {
            Ok(complaint) => complaint.message,
            Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        Err(refused(socket, format!("{status}: {message}")))
    };
    Ok(Pending::new(executor, async move {
        let result = tokio::time::timeout(limit, exchange).await;
        result.unwrap_or(Err(Error::TimedOut {
            path,
            call,
            after: limit,
        }))
    }))
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}
