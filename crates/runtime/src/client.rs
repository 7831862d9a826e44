//! As much of the CRI, version 1, as `proto/cri.proto` describes, and how to connect to it.
//!
//! For [`Cri`](crate::Cri), and for tests that make pods the way the kubelet does.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

use std::path::Path;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};

tonic::include_proto!("runtime.v1");

/// As the kubelet's own limit: the list of a full node is larger than gRPC's usual 4 MiB.
pub const LARGEST_MESSAGE: usize = 16 << 20;

/// A connection to the socket, made by the calling task; nothing is resolved, no thread asked
/// for.
///
/// # Errors
/// When nobody listens there.
pub async fn connect(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    let socket = socket.to_owned();
    // The address names the server in the protocol alone.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let socket = socket.clone();
            async move {
                let stream = tokio::net::UnixStream::connect(socket).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        }))
        .await
}

/// The service of pods and containers.
pub fn runtime_service(channel: Channel) -> runtime_service_client::RuntimeServiceClient<Channel> {
    runtime_service_client::RuntimeServiceClient::new(channel)
        .max_decoding_message_size(LARGEST_MESSAGE)
}

/// The service of images.
pub fn image_service(channel: Channel) -> image_service_client::ImageServiceClient<Channel> {
    image_service_client::ImageServiceClient::new(channel)
        .max_decoding_message_size(LARGEST_MESSAGE)
}
