//! Servers that let open requests finish before they end: how long they wait at most.

use super::Verdict;
use super::facts::Process;
use super::fate::Fate;
use super::words;
use crate::signal;
use crate::{Confidence, text};

const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;
const SIGUSR1: u8 = 10;
const SIGTERM: u8 = 15;
const SIGWINCH: u8 = 28;

/// What is published of a server.
struct Server {
    name: &'static str,
    /// The signals upon which it waits.
    on: &'static [u8],
    /// What it waits for.
    open: &'static str,
    /// At most so many seconds, where nothing says otherwise; `None`: no limit.
    seconds: Option<u64>,
    /// Options of its command line and words of its configuration that say how long.
    said_by: &'static [&'static str],
    source: &'static str,
    /// It waits so long whether something is open or not.
    always: bool,
}

const SERVERS: &[Server] = &[
    Server {
        name: "gunicorn",
        on: &[SIGTERM],
        open: "open requests",
        seconds: Some(30),
        said_by: &["--graceful-timeout", "graceful_timeout"],
        source: "Gunicorn's documentation, graceful_timeout",
        always: false,
    },
    Server {
        name: "uvicorn",
        on: &[SIGTERM, SIGINT],
        open: "open requests",
        seconds: None,
        said_by: &["--timeout-graceful-shutdown"],
        source: "Uvicorn's documentation, --timeout-graceful-shutdown",
        always: false,
    },
    Server {
        name: "hypercorn",
        on: &[SIGTERM, SIGINT],
        open: "open requests",
        seconds: Some(3),
        said_by: &["--graceful-timeout", "graceful_timeout"],
        source: "Hypercorn's documentation, graceful_timeout",
        always: false,
    },
    Server {
        name: "puma",
        on: &[SIGTERM],
        open: "open requests",
        seconds: None,
        said_by: &["force_shutdown_after"],
        source: "Puma's documentation, force_shutdown_after",
        always: false,
    },
    Server {
        name: "unicorn",
        on: &[SIGQUIT],
        open: "open requests",
        seconds: None,
        said_by: &[],
        source: "Unicorn's documentation, SIGNALS",
        always: false,
    },
    Server {
        name: "celery",
        on: &[SIGTERM],
        open: "running tasks",
        seconds: None,
        said_by: &["worker_soft_shutdown_timeout"],
        source: "Celery's documentation, warm shutdown",
        always: false,
    },
    Server {
        name: "sidekiq",
        on: &[SIGTERM],
        open: "running jobs",
        seconds: Some(25),
        said_by: &["--timeout", "-t"],
        source: "Sidekiq's documentation, -t",
        always: false,
    },
    Server {
        name: "squid",
        on: &[SIGTERM],
        open: "open connections",
        seconds: Some(30),
        said_by: &["shutdown_lifetime"],
        source: "Squid's documentation, shutdown_lifetime",
        always: true,
    },
    Server {
        name: "nginx",
        on: &[SIGQUIT],
        open: "open requests",
        seconds: None,
        said_by: &["worker_shutdown_timeout"],
        source: "nginx's documentation, worker_shutdown_timeout",
        always: false,
    },
    Server {
        name: "apache2",
        on: &[SIGWINCH],
        open: "open requests",
        seconds: None,
        said_by: &["GracefulShutdownTimeout"],
        source: "Apache's documentation, GracefulShutdownTimeout",
        always: false,
    },
    Server {
        name: "httpd",
        on: &[SIGWINCH],
        open: "open requests",
        seconds: None,
        said_by: &["GracefulShutdownTimeout"],
        source: "Apache's documentation, GracefulShutdownTimeout",
        always: false,
    },
    Server {
        name: "haproxy",
        on: &[SIGUSR1],
        open: "open connections",
        seconds: None,
        said_by: &["hard-stop-after"],
        source: "HAProxy's documentation, hard-stop-after",
        always: false,
    },
    Server {
        name: "caddy",
        on: &[SIGTERM, SIGINT],
        open: "open requests",
        seconds: None,
        said_by: &["grace_period"],
        source: "Caddy's documentation, grace_period",
        always: false,
    },
];

/// It is published that this signal ends it, in good order.
pub(super) fn is_ended_by(process: &Process, number: u8) -> bool {
    let is = |server: &Server| process.is_called(server.name) && server.on.contains(&number);
    SERVERS.iter().any(is)
}

/// Servers that take SIGHUP for a wish to read their configuration, or open their files, again.
const RELOADED: [&str; 18] = [
    "apache2",
    "caddy",
    "cron",
    "dnsmasq",
    "gunicorn",
    "haproxy",
    "httpd",
    "lighttpd",
    "mosquitto",
    "named",
    "nginx",
    "postgres",
    "prometheus",
    "redis-server",
    "rsyslogd",
    "squid",
    "sshd",
    "uwsgi",
];

/// It is published that SIGHUP does not end it.
pub(super) fn is_reloaded(process: &Process) -> bool {
    RELOADED.iter().any(|name| process.is_called(name))
}

/// Files that tell one of them how long to wait; `None` if it is none of them.
pub(super) fn configuration(process: &Process) -> Option<Vec<String>> {
    let server = SERVERS
        .iter()
        .find(|server| process.is_called(server.name))?;
    let (options, usual): (&[&str], &str) = match server.name {
        "gunicorn" => (&["-c", "--config"], "gunicorn.conf.py"),
        "hypercorn" => (&["-c", "--config"], "hypercorn.toml"),
        "puma" => (&["-C", "--config"], "config/puma.rb"),
        "squid" => (&["-f"], "/etc/squid/squid.conf"),
        "nginx" => (&["-c"], "/etc/nginx/nginx.conf"),
        "apache2" => (&["-f"], "/etc/apache2/apache2.conf"),
        "httpd" => (&["-f"], "/usr/local/apache2/conf/httpd.conf"),
        "haproxy" => (&["-f"], "/usr/local/etc/haproxy/haproxy.cfg"),
        "caddy" => (&["--config"], "/etc/caddy/Caddyfile"),
        _ => return Some(Vec::new()),
    };
    Some(vec![process.option(options).unwrap_or(usual).to_owned()])
}

/// What such a server's waiting makes of a fate.
pub(super) fn wait(
    process: &Process,
    number: u8,
    grace: Option<u64>,
    connections: Option<usize>,
    fate: Fate,
) -> Fate {
    let is = |server: &&Server| process.is_called(server.name) && server.on.contains(&number);
    let Some(server) = SERVERS.iter().find(is) else {
        return fate;
    };
    let seconds = said(process, server).map_or(server.seconds, |said| Some(said.0));
    let source = said(process, server).map_or(server.source.to_owned(), |said| said.1);
    let limit = match seconds {
        Some(seconds) => format!("up to {}", text::duration(seconds)),
        None => "without a limit".to_owned(),
    };
    let compared = grace.map_or_else(String::new, |grace| {
        format!("; the grace period is {}", text::duration(grace))
    });
    let fate = fate.fact(format!(
        "{} waits {limit} for {} on {} ({source}){compared}.",
        server.name,
        server.open,
        signal::name(number),
    ));
    let too_long = grace.is_some_and(|grace| seconds.is_none_or(|seconds| seconds >= grace));
    if server.always && too_long && fate.verdict == Verdict::Ends {
        return Fate {
            verdict: Verdict::Killed,
            summary: format!("{} waits {limit} in any case", server.name),
            ..fate
        }
        .cures([super::cure::wait(server.name, seconds)]);
    }
    match connections {
        Some(open @ 1..) if too_long && fate.verdict == Verdict::Ends => {
            let open = text::plural(open as u64, "connection is", "connections are");
            Fate {
                verdict: Verdict::Unknown,
                confidence: Confidence::Low,
                summary: format!("{} waits for {}: {open} open now", server.name, server.open),
                ..fate
            }
            .fact(format!(
                "{open} open to it now (/proc/{}/net/tcp, tcp6).",
                process.id.pid
            ))
            .cures([super::cure::wait(server.name, seconds)])
        }
        _ => fate,
    }
}

/// The seconds that its command line or a file that it reads gives, and where.
fn said(process: &Process, server: &Server) -> Option<(u64, String)> {
    let pid = process.id.pid;
    let by_option = process.option(server.said_by).and_then(words::seconds);
    let by_option = by_option.map(|seconds| (seconds, format!("/proc/{pid}/cmdline")));
    by_option.or_else(|| {
        process.texts.iter().find_map(|text| {
            let values = server.said_by.iter();
            let seconds = values.filter_map(|word| words::setting(&text.content, word));
            let seconds = seconds.filter_map(words::seconds).next()?;
            Some((seconds, text.path.clone()))
        })
    })
}
