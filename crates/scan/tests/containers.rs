//! Zombies in real containers of runc and crun.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use sexton_core::report::Exit;
use sexton_core::{Report, Runtime as Maker};
use sexton_lab::{Container, Layout, Leak, Runtime, require, wait_until};
use sexton_scan::{Options, Roots, Scanner};

fn scan() -> Report {
    Scanner::new(Roots::default())
        .unwrap()
        .scan(&Options::default())
        .unwrap()
}

/// The leak of one holder, once it has as many zombies as expected.
fn leak_of(holder: u32, zombies: u64) -> sexton_core::Leak {
    wait_until("the leak is found in full", || {
        scan()
            .leaks
            .into_iter()
            .find(|leak| leak.holder.id.pid == holder && leak.zombies == zombies)
    })
}

#[test]
fn every_layout_of_cgroups_names_the_container() {
    for name in ["runc", "crun"] {
        let Some(runtime) = require(Runtime::find(name)) else {
            continue;
        };
        for layout in Layout::ALL {
            let container = Container::builder(&runtime)
                .layout(layout)
                .start(&Leak::new().count(5).exit(7).name("od) d\nname").program());
            let leak = leak_of(container.pid(), 5);
            let context = format!("{name} {layout:?} {leak:#?}");
            let found = leak.container.expect(&context);
            assert_eq!(found.id, container.id(), "{context}");
            let maker = match layout {
                Layout::Plain | Layout::Kubepods => Maker::Unknown,
                Layout::Docker | Layout::DockerSystemd => Maker::Docker,
                Layout::KubepodsSystemd => Maker::Containerd,
                Layout::Crio => Maker::Crio,
                Layout::Podman => Maker::Podman,
            };
            assert_eq!(found.runtime, maker, "{context}");
            let uid = found.pod.and_then(|pod| pod.uid);
            assert_eq!(uid.as_deref(), container.pod_uid(), "{context}");
            assert!(leak.holder.namespace_init, "{context}");
            assert_eq!(leak.holder.ns_pids, [container.pid(), 1], "{context}");
            assert_eq!(leak.commands[0].name, "od) d\nname", "{context}");
            assert_eq!(leak.sample[0].exit, Some(Exit::Code(7)), "{context}");
            assert_eq!(leak.sample[0].ns_pids.len(), 2, "{context}");
            let mut scanner = Scanner::new(Roots::default()).unwrap();
            let of_zombie = scanner.container_of(leak.sample[0].id.pid).unwrap();
            assert_eq!(of_zombie.map(|c| c.id), Some(container.id().to_owned()));
        }
    }
}
