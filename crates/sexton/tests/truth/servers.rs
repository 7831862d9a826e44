//! Servers and supervisors that start processes and wait for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sexton_lab::Skip;
use tempfile::TempDir;

use crate::healthy::first;
use crate::scenario::Scenario;
use crate::situation::{Situation, script};

/// A name and how it is started in a directory of its own.
type Case = (&'static str, fn(&TempDir) -> Result<Situation, Skip>);

const SERVERS: &[Case] = &[
    ("s6-svscan", |dir| {
        service(dir.path());
        first("s6-svscan", &[path(dir)])
    }),
    ("runsvdir", |dir| {
        service(dir.path());
        first("runsvdir", &[path(dir)])
    }),
    ("supervisord", |dir| {
        let text = "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n\
             pidfile=DIR/pid\n[program:one]\ncommand=/bin/sleep 2\nstartsecs=0\nautorestart=true\n";
        first("supervisord", &["-n", "-c", &config(dir, text)])
    }),
    ("nginx", |dir| {
        let text = "daemon off; pid DIR/pid; error_log /dev/null; events {} worker_processes 2;\n\
             http { access_log off; server { listen unix:DIR/socket; } }\n";
        first("nginx", &["-c", &config(dir, text)])
    }),
    ("haproxy", |dir| {
        let text = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n\
             frontend f\n bind unix@DIR/socket\n";
        first("haproxy", &["-W", "-f", &config(dir, text)])
    }),
    ("gunicorn", |dir| {
        let app = "def app(env, start):\n    start('200 OK', [])\n    return []\n";
        script(dir.path(), "app.py", app);
        let socket = format!("unix:{}/socket", path(dir));
        first(
            "gunicorn",
            &["--chdir", path(dir), "-b", &socket, "-w", "2", "app:app"],
        )
    }),
    ("puma", |dir| {
        let text = "app { |env| [200, {}, ['ok']] }\nworkers 2\nbind 'unix://DIR/socket'\n";
        first("puma", &["-C", &config(dir, text)])
    }),
    ("php-fpm", |dir| {
        let text = "[global]\ndaemonize=no\nerror_log=/dev/null\n[www]\nuser=www-data\n\
             listen=DIR/socket\npm=dynamic\npm.max_children=3\npm.start_servers=2\n\
             pm.min_spare_servers=1\npm.max_spare_servers=2\n";
        first("php-fpm8.2", &["-F", "-y", &config(dir, text)])
    }),
    ("postgres", |dir| {
        let place = "/usr/lib/postgresql/15/bin";
        if !Path::new(place).join("postgres").is_file() {
            return Err(Skip("postgres 15 is not installed".to_owned()));
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        // It starts a worker each second, which ends.
        let text = format!(
            "as='setpriv --reuid=postgres --regid=postgres --clear-groups'\n\
             $as {place}/initdb -A trust -D DIR/data >/dev/null\n\
             exec $as {place}/postgres -D DIR/data -k DIR -h '' -c autovacuum_naptime=1\n"
        );
        Situation::pid1(&["sh", &config(dir, &text)])
    }),
    ("npm", |dir| {
        let text = r#"{"name":"x","scripts":{"start":"node -e 'setInterval(()=>{},1000)'"}}"#;
        fs::write(dir.path().join("package.json"), text).unwrap();
        first("npm", &["--prefix", path(dir), "start"])
    }),
    ("make -j", |dir| {
        let text = "all: $(shell seq 1 20000)\n%:\n\t@/bin/true; sleep 0.3\n.PHONY: all\n";
        first("make", &["-j2", "-f", &config(dir, text)])
    }),
    ("busybox crond", |dir| {
        fs::write(dir.path().join("root"), "* * * * * /bin/true\n").unwrap();
        first("busybox", &["crond", "-f", "-c", path(dir)])
    }),
];

pub(crate) fn scenarios() -> Vec<Scenario> {
    SERVERS
        .iter()
        .map(|&(name, start)| Scenario::healthy(name, start))
        .collect()
}

fn path(dir: &TempDir) -> &str {
    dir.path().to_str().unwrap()
}

/// A file with this text, in which DIR stands for the directory.
fn config(dir: &TempDir, text: &str) -> String {
    script(dir.path(), "config", &text.replace("DIR", path(dir)))
}

/// A service that ends every second and is started anew.
fn service(dir: &Path) {
    let place = dir.join("one");
    fs::create_dir(&place).unwrap();
    script(&place, "run", "#!/bin/sh\nexec sleep 1\n");
}
