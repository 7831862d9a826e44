//! Inits that pass signals on.

use std::path::Path;

use sexton_lab::program::init_binary;

use crate::situation::{Case, compare, program};

const SLEEP: [&str; 2] = ["/bin/sleep", "1000"];
const SHELL: [&str; 3] = ["/bin/sh", "-c", "sleep 1000; true"];
const DEAF: [&str; 3] = ["/bin/bash", "-c", "trap '' TERM; exec /bin/sleep 1000"];

fn under(name: &'static str, init: &[&str], command: &[&str]) -> Case {
    Case::new(name, &[init, command].concat()).runs("sleep")
}

#[test]
fn inits_of_others() {
    let tini = program("/usr/bin/tini");
    let dumb_init = program("/usr/bin/dumb-init");
    let catatonit = program("/usr/bin/catatonit");
    compare([
        tini.map(|tini| under("tini", &[tini, "--"], &SLEEP).says("is tini")),
        tini.map(|tini| under("tini over a shell", &[tini, "--"], &SHELL).unheard(1)),
        tini.map(|tini| under("tini -g over a shell", &[tini, "-g", "--"], &SHELL)),
        tini.map(|tini| under("tini over the deaf", &[tini, "--"], &DEAF).killed()),
        dumb_init.map(|init| under("dumb-init", &[init], &SLEEP)),
        dumb_init.map(|init| under("dumb-init over a shell", &[init], &SHELL)),
        dumb_init.map(|init| under("dumb-init -c over a shell", &[init, "-c"], &SHELL).unheard(1)),
        dumb_init.map(|init| under("dumb-init that drops it", &[init, "-r15:0"], &SLEEP).killed()),
        dumb_init.map(|init| under("dumb-init that rewrites it", &[init, "-r", "15:3"], &DEAF)),
        catatonit.map(|init| under("catatonit", &[init, "--"], &SLEEP)),
        tini.zip(dumb_init)
            .map(|(tini, init)| under("tini over dumb-init", &[tini, "--", init], &SLEEP)),
    ]);
}

#[test]
fn busybox_init() {
    compare([program("/bin/busybox").map(|busybox| {
        Case::new("busybox init", &[busybox, "init"])
            .runs("busybox")
            .says("busybox init")
    })]);
}

#[test]
fn sexton_init_under_each_name() {
    let file = init_binary();
    let dir = tempfile::tempdir().unwrap();
    let named = |name: &str| {
        let link = dir.path().join(name);
        if !link.exists() {
            std::fs::hard_link(file, &link)
                .or_else(|_| std::fs::copy(file, &link).map(|_| ()))
                .unwrap();
        }
        link.to_str().unwrap().to_owned()
    };
    // Links, so that the file keeps its name.
    std::fs::copy(file, dir.path().join("sexton-init")).unwrap();
    for name in ["tini", "dumb-init"] {
        std::os::unix::fs::symlink("sexton-init", dir.path().join(name)).unwrap();
    }
    let own = named("sexton-init");
    let (tini, dumb_init) = (named("tini"), named("dumb-init"));
    let bound = |case: Case| Some(case.bind(Path::new(dir.path())));
    compare([
        bound(under("sexton-init", &[&own], &SLEEP).says("is sexton-init")),
        bound(under("sexton-init over a shell", &[&own, "--"], &SHELL)),
        bound(under("sexton-init -g over a shell", &[&own, "-g"], &SHELL)),
        bound(under(
            "sexton-init that rewrites",
            &[&own, "-r", "TERM:QUIT"],
            &DEAF,
        )),
        bound(under("sexton-init over the deaf", &[&own], &DEAF).killed()),
        bound(under(
            "sexton-init -K over the deaf",
            &[&own, "-K", "0.5s"],
            &DEAF,
        )),
        bound(under("sexton-init as tini, over a shell", &[&tini, "--"], &SHELL).unheard(1)),
        bound(under(
            "sexton-init as tini -g, over a shell",
            &[&tini, "-g"],
            &SHELL,
        )),
        bound(under(
            "sexton-init as dumb-init, over a shell",
            &[&dumb_init],
            &SHELL,
        )),
    ]);
}
