//! `kubectl sexton page`: the cluster's page, on loopback.

mod serve;
mod view;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sexton_page::ClusterView;
use tokio::net::TcpListener;

use crate::cli::{self, Connection};
use crate::connect::{Connected, connect};
use crate::error::Error;
use crate::policy::{stored, tally};
use crate::seen;

/// Runs the command; it ends when it is interrupted.
pub async fn run(args: cli::Page, connection: &Connection) -> Result<ExitCode, Error> {
    let cli::Page {
        port,
        refresh,
        open,
        save,
    } = args;
    let at = connect(connection).await?;
    // What cannot be read at all is an error now, and not on the page later.
    let first = look(&at).await?;
    if let Some(file) = save {
        return save_as(&file, first);
    }
    // Loopback alone: whoever can see the page sees the cluster with the caller's eyes.
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    println!(
        "The page of {} is at {url} until this is interrupted (Ctrl-C).",
        first.name
    );
    if open {
        browse(&url);
    }
    tokio::select! {
        () = serve::serve(listener, at, first, refresh) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that the page shows, as it is now.
async fn look(at: &Connected) -> Result<ClusterView, Error> {
    let seen = seen::look(at, None).await?;
    let (stored, missing) = match stored(at).await {
        Ok(stored) => (stored, None),
        Err(_) => (
            Vec::new(),
            Some("Policies cannot be listed: what the reports say of them is shown.".to_owned()),
        ),
    };
    let mut view = view::view(seen, &at.name, |reports| tally(reports, &stored));
    view.gaps.extend(missing);
    view.read = now();
    Ok(view)
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

fn save_as(file: &PathBuf, mut view: ClusterView) -> Result<ExitCode, Error> {
    view.now = now();
    std::fs::write(file, sexton_page::cluster(&view))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the desktop for a browser; without one the URL has been printed.
fn browse(url: &str) {
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let started = Command::new(program)
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        eprintln!("Note: {program}: {}", sexton_core::text::os(&error));
    }
}
