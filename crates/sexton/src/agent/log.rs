//! The agent's own log, on standard error.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::LogFormat;

/// Starts it. `SEXTON_LOG` may be `error`, `warn`, `info` (the default), `debug` or `trace`.
pub fn start(format: LogFormat) {
    let level = std::env::var("SEXTON_LOG")
        .ok()
        .and_then(|word| word.parse().ok())
        .unwrap_or(Level::INFO);
    // The HTTP libraries would tell of every frame at debug, and the client of Kubernetes of every
    // try of an outage, which the agent tells once.
    let kube = if level > Level::INFO {
        LevelFilter::WARN
    } else {
        LevelFilter::OFF
    };
    let ours = Targets::new()
        .with_target("sexton", level)
        .with_target("kube", kube)
        .with_default(level.min(Level::WARN));
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false);
    match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .finish()
            .with(ours)
            .init(),
        // The journal stamps each line by itself.
        LogFormat::Text if std::env::var_os("JOURNAL_STREAM").is_some() => {
            let journal = builder.with_ansi(false).without_time();
            journal.finish().with(ours).init();
        }
        LogFormat::Text => builder
            .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .finish()
            .with(ours)
            .init(),
    }
}
