//! Runtimes and what starts programs for them: npm and its kin, bun, deno, puma, celery, elixir.

use super::{case, file};
use crate::situation::{Case, compare_once, program};

const PUMA: [&str; 2] = ["-b", "tcp://127.0.0.1:9292"];
/// A directory of the container in which a program may write.
const HOME: &str = "HOME=/tmp";

/// A program that works in the directory of the little node programs.
fn there(name: &'static str, path: &'static str, command: &str) -> Option<Case> {
    program(path)?;
    let text = format!("cd {} && {HOME} exec {path} {command}", file("node"));
    case(name, "/bin/sh", &["-c", &text]).map(Case::own_network)
}

#[test]
fn node_and_what_starts_it() {
    let node = |name, script| there(name, "/usr/bin/node", script).map(|case| case.runs("node"));
    compare_once([
        node("node, a server", "server.js").map(|case| case.killed().never_high()),
        node("node, a handler in another file", "stops.js").map(Case::never_high),
        node("node, a handler in a comment", "deaf.js").map(|case| case.killed().never_high()),
        there("npm start", "/usr/bin/npm", "start").map(|case| {
            let case = case.runs("node").unheard(1);
            case.cured_by(r#"ENTRYPOINT ["node", "server.js"]"#)
        }),
        there("npm run, with exec", "/usr/bin/npm", "run handler").map(|case| case.runs("node")),
        there("npx", "/usr/bin/npx", "-y node server.js").map(|case| case.runs("node").unheard(1)),
        there("yarn start", "/usr/bin/yarn", "start").map(|case| {
            let case = case.runs("sh").run("node", 2).unheard(1);
            case.cured_by(r#"ENTRYPOINT ["/usr/bin/node", "server.js"]"#)
        }),
        there("pnpm start", "/usr/bin/pnpm", "start").map(|case| case.runs("node").unknown(true)),
    ]);
}

#[test]
fn bun_and_deno() {
    let bun = |name, arguments| there(name, "/usr/bin/bun", arguments);
    let deno = |name, arguments| there(name, "/usr/bin/deno", arguments);
    compare_once([
        bun("bun, no handler", "deaf.js").map(|case| case.runs("bun").killed()),
        bun("bun, a handler", "stops.js").map(|case| case.runs("bun").never_high()),
        bun("bun run", "run start").map(|case| case.runs("node")),
        deno("deno, no handler", "run deaf.js").map(|case| case.runs("deno").never_high()),
        deno("deno, a handler", "run denostops.ts").map(|case| case.runs("deno").never_high()),
        deno("deno task", "task start").map(|case| case.runs("node")),
    ]);
}

#[test]
fn servers_of_other_runtimes() {
    let (rack, light) = (file("config.ru"), file("lighttpd.conf"));
    compare_once(
        [
            case("puma", "/usr/bin/puma", &[&PUMA[..], &[&rack]].concat())
                .map(|case| case.runs("puma").says("waits without a limit")),
            celery("celery", "exec", "").map(|case| case.says("running tasks")),
            case("elixir", "/usr/bin/elixir", &["--no-halt", "-e", ":ok"])
                .map(|case| case.runs("beam.smp")),
            case("lighttpd", "/usr/sbin/lighttpd", &["-D", "-f", &light])
                .map(|case| case.runs("lighttpd")),
            // No package of Debian's.
            case("dotnet", "/usr/bin/dotnet", &["/app/app.dll"]).map(|case| case.runs("dotnet")),
        ]
        .map(|case| case.map(Case::serves)),
    );
}

/// It wants semaphores. Debian's own script `celery` is a shell in front of it.
fn celery(name: &'static str, before: &str, after: &str) -> Option<Case> {
    program("/usr/lib/python3/dist-packages/celery")?;
    let command = format!(
        "python3 -m celery --workdir {} -A tasks worker -c 2",
        file("")
    );
    let text = format!("mkdir -m 1777 /dev/shm; {before} {command}{after}");
    case(name, "/bin/sh", &["-c", &text]).map(|case| case.run("python3", 3))
}

#[test]
fn elixir_behind_a_shell() {
    let command = "elixir --no-halt -e :ok; true";
    compare_once([program("/usr/bin/elixir")
        .and_then(|_| case("elixir behind sh", "/bin/sh", &["-c", command]))
        .map(|case| {
            let case = case.runs("beam.smp").killed().unheard(1);
            case.cured_by(r#"ENTRYPOINT ["elixir", "--no-halt", "-e", ":ok"]"#)
        })]);
}

#[test]
fn celery_behind_a_shell() {
    compare_once([celery("celery behind sh", "", "; true").map(|case| case.killed().unheard(1))]);
}

#[test]
fn gosu() {
    let command = ["nobody", "/bin/sleep", "1000"];
    compare_once([
        case("gosu", "/usr/sbin/gosu", &command).map(|case| case.runs("sleep").killed()),
        program("/usr/sbin/gosu")
            .and_then(|gosu| {
                let words = [&["--", gosu], &command[..]].concat();
                case("tini over gosu without CAP_KILL", "/usr/bin/tini", &words)
            })
            .map(|case| {
                case.runs("sleep")
                    .without("CAP_KILL")
                    .unheard(1)
                    .never_high()
            }),
    ]);
}
