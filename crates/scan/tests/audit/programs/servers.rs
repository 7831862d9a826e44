//! Servers: most end, some wait for long, some take the signal for something else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{case, file};
use crate::situation::{Case, compare_once, program};

const POSTGRES: &str = "/usr/lib/postgresql/15/bin/postgres";

#[test]
fn web_servers() {
    let (app, nginx, apache, haproxy) = (
        file(""),
        file("nginx.conf"),
        file("apache.conf"),
        file("haproxy.cfg"),
    );
    let nginx = |name| case(name, "/usr/sbin/nginx", &["-c", &nginx]).map(|c| c.runs("nginx"));
    let apache = |name| {
        let options = ["-f", &apache, "-DFOREGROUND"];
        case(name, "/usr/sbin/apache2", &options).map(|case| case.runs("apache2"))
    };
    let haproxy = |name| {
        case(name, "/usr/sbin/haproxy", &["-W", "-f", &haproxy]).map(|case| case.run("haproxy", 2))
    };
    let gunicorn = [
        "--chdir",
        &app,
        "-b",
        "127.0.0.1:8080",
        "--worker-tmp-dir",
        "/tmp",
        "app:app",
    ];
    let uvicorn = ["-m", "uvicorn", "--app-dir", &app, "app:asgi"];
    compare_once(
        [
            nginx("nginx"),
            nginx("nginx, SIGQUIT").map(|case| case.stop_signal("SIGQUIT")),
            nginx("nginx, SIGHUP").map(|case| case.stop_signal("SIGHUP").killed()),
            nginx("nginx, SIGUSR1").map(|case| case.stop_signal("SIGUSR1").unknown(false)),
            apache("apache2"),
            apache("apache2, SIGWINCH").map(|case| case.stop_signal("SIGWINCH")),
            haproxy("haproxy"),
            haproxy("haproxy, SIGUSR1").map(|case| case.stop_signal("SIGUSR1")),
            case("gunicorn", "/usr/bin/gunicorn", &gunicorn)
                .map(|case| case.run("gunicorn", 2).says("waits up to 30s")),
            program("/usr/lib/python3/dist-packages/uvicorn")
                .and_then(|_| case("uvicorn", "/usr/bin/python3", &uvicorn))
                .map(|case| case.runs("python3").says("waits without a limit")),
        ]
        .map(|case| case.map(Case::serves)),
    );
}

#[test]
fn other_servers() {
    let (app, mosquitto, squid, fpm) = (
        file("app.py"),
        file("mosquitto.conf"),
        file("squid.conf"),
        file("fpm.conf"),
    );
    let squid = format!("mkdir -m 1777 /dev/shm && exec squid -N -f {squid}");
    let uwsgi = |name, more: &[&str]| {
        let usual = [
            "--http-socket",
            "127.0.0.1:8080",
            "--plugin",
            "python3",
            "--wsgi-file",
            &app,
        ];
        let options = [&usual[..], &["--callable", "app"], more].concat();
        case(name, "/usr/bin/uwsgi-core", &options).map(|case| case.runs("uwsgi-core"))
    };
    let fpm = |name| {
        let options = ["-y", &fpm];
        case(name, "/usr/sbin/php-fpm8.2", &options).map(|case| case.run("php-fpm8.2", 2))
    };
    compare_once(
        [
            case("mosquitto", "/usr/sbin/mosquitto", &["-c", &mosquitto])
                .map(|case| case.runs("mosquitto")),
            case("redis-server", "/usr/bin/redis-server", &["--save", ""])
                .map(|case| case.runs("redis-server")),
            case("memcached", "/usr/bin/memcached", &["-u", "nobody"])
                .map(|case| case.runs("memcached")),
            program("/usr/sbin/squid")
                .and_then(|_| case("squid", "/bin/sh", &["-c", &squid]))
                .map(|case| case.runs("squid").killed().says("waits up to 30s")),
            fpm("php-fpm8.2"),
            fpm("php-fpm8.2, SIGQUIT").map(|case| case.stop_signal("SIGQUIT")),
            uwsgi("uwsgi-core", &[]),
            uwsgi("uwsgi-core --master", &["--master"])
                .map(|case| case.killed().cured_by("die-on-term")),
            uwsgi(
                "uwsgi-core --master --die-on-term",
                &["--master", "--die-on-term"],
            ),
            case("erl -noshell", "/usr/bin/erl", &["-noshell"]).map(|case| case.runs("beam.smp")),
        ]
        .map(|case| case.map(Case::serves)),
    );
}

#[test]
fn postgres() {
    let bin = POSTGRES.trim_end_matches("/postgres");
    let server = |name, client: &str| {
        let script = format!(
            "export LC_ALL=C; {bin}/initdb -A trust -D /tmp/x/data -U x >/dev/null || exit 1\n\
             {client}\nexec {POSTGRES} -D /tmp/x/data -k /tmp/x -c listen_addresses=''"
        );
        // It refuses to be root.
        let prepare = "mkdir -m 777 /tmp/x && exec setpriv --reuid=33 --regid=33 --clear-groups \
                       sh -c \"$0\"";
        program(POSTGRES)?;
        case(name, "/bin/sh", &["-c", prepare, &script])
    };
    let idle = |name| server(name, "").map(|case| case.run("postgres", 4));
    let client = format!(
        "(until {bin}/psql -h /tmp/x -U x -c 'select pg_sleep(1000)' postgres; do sleep 0.2; done) &"
    );
    let busy = |name| server(name, &client).map(|case| case.runs("postgres").run("psql", 1));
    compare_once(
        [
            idle("postgres, no client"),
            busy("postgres, a client").map(|case| case.killed().cured_by("STOPSIGNAL SIGINT")),
            busy("postgres, a client, SIGINT").map(|case| case.stop_signal("SIGINT")),
        ]
        .map(|case| case.map(Case::serves)),
    );
}

#[test]
fn supervisors() {
    let scan = tempfile::tempdir().unwrap();
    fs::create_dir_all(scan.path().join("a")).unwrap();
    runnable(&scan.path().join("b/.s6-svscan/SIGTERM"), "echo it came");
    runnable(&scan.path().join("sv/app/run"), "exec sleep 1000");
    let directory = scan.path().to_str().unwrap();
    // s6 and runit write beside their services.
    let copied = |name, path: &'static str, directory_of: &str| {
        program(path)?;
        let script = format!("cp -r {directory} /tmp/s && exec {path} /tmp/s/{directory_of}");
        case(name, "/bin/sh", &["-c", &script]).map(|case| case.bind(scan.path()))
    };
    let svscan = |name, directory| {
        copied(name, "/usr/bin/s6-svscan", directory).map(|case| case.runs("s6-svscan"))
    };
    let (fine, deaf) = (file("supervisord.conf"), file("supervisord-deaf.conf"));
    let supervisord = |name, conf| {
        case(name, "/usr/bin/supervisord", &["-c", &file(conf)]).map(|case| case.runs("sleep"))
    };
    compare_once(
        [
            case("supervisord", "/usr/bin/supervisord", &["-c", &fine])
                .map(|case| case.runs("sleep").says("stopwaitsecs")),
            case(
                "supervisord, a deaf program",
                "/usr/bin/supervisord",
                &["-c", &deaf],
            )
            .map(|case| case.runs("sleep").killed().says("stopwaitsecs")),
            supervisord("supervisord, one deaf for 2s", "supervisord-two.conf")
                .map(|case| case.run("tail", 1).says("once it has killed")),
            supervisord("supervisord, a shell", "supervisord-shell.conf")
                .map(|case| case.unheard(1).cured_by("stopasgroup=true")),
            supervisord("supervisord, stopasgroup", "supervisord-group.conf"),
            supervisord("supervisord, stopsignal", "supervisord-quit.conf"),
            supervisord("supervisord without CAP_KILL", "supervisord-other.conf").map(|case| {
                case.without("CAP_KILL")
                    .unheard(1)
                    .cured_by("runAsUser: 33")
            }),
            svscan("s6-svscan", "a"),
            svscan("s6-svscan, a script of its own", "b").map(|case| case.unknown(false)),
            copied("runsvdir", "/usr/bin/runsvdir", "sv").map(|case| case.runs("sleep").unheard(1)),
        ]
        .map(|case| case.map(Case::serves)),
    );
}

/// A script that can be executed, and the directories above it.
fn runnable(path: &Path, line: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
