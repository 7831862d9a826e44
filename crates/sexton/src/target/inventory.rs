//! What runs on the node, as far as a person may name it.

use std::collections::HashMap;

use sexton_core::{Container, Ending, Pod};
use sexton_scan::{Scanner, Seen};

use crate::error::Error;

/// Containers and programs of the node.
#[derive(Default)]
pub struct Inventory {
    pub containers: Vec<Placed>,
    pub programs: Vec<Program>,
}

/// A container, and the process in it that was started first.
#[derive(Clone, Debug)]
pub struct Placed {
    pub container: Container,
    pub eldest: u32,
}

/// A living process, by what it is called.
pub struct Program {
    pub pid: u32,
    /// `comm`, and the base name of the first argument.
    pub names: [String; 2],
    /// Its container, in the list of them.
    pub container: Option<usize>,
}

impl Inventory {
    /// Looks at every living process; one that cannot be read is left out.
    pub fn take(scanner: &mut Scanner) -> Result<Self, Error> {
        let mut inventory = Self::default();
        let (mut seen, mut by_id) = (Seen::default(), HashMap::new());
        let mut started = Vec::new();
        let mut buffer = Vec::new();
        for pid in scanner.proc().pids()? {
            let stat = scanner.proc().stat(pid, &mut buffer);
            let Some(stat) = stat.ok().flatten() else {
                continue;
            };
            // A zombie is bound by nothing and can be asked nothing.
            if stat.is_reapable_zombie() {
                continue;
            }
            let container = scanner.find_container(pid, &mut seen).ok().flatten();
            let container = container.map(|container| {
                *by_id.entry(container.id.clone()).or_insert_with(|| {
                    inventory.containers.push(Placed {
                        container,
                        eldest: pid,
                    });
                    started.push(stat.start_ticks);
                    started.len() - 1
                })
            });
            if let Some(index) = container
                && stat.start_ticks < started[index]
            {
                started[index] = stat.start_ticks;
                inventory.containers[index].eldest = pid;
            }
            inventory.programs.push(Program {
                pid,
                names: [stat.comm.to_lossy(), first_argument(scanner, pid)],
                container,
            });
        }
        for placed in &mut inventory.containers {
            scanner.name(&mut placed.container);
        }
        Ok(inventory)
    }

    /// Adds containers whose PID 1 is ending: it may be their last process, and no longer be in
    /// their cgroups.
    pub fn add(&mut self, endings: &[Ending]) {
        for ending in endings {
            if let Some(container) = &ending.container
                && self
                    .containers
                    .iter()
                    .all(|placed| placed.container.id != container.id)
            {
                self.containers.push(Placed {
                    container: container.clone(),
                    eldest: ending.first.id.pid,
                });
            }
        }
    }

    /// The container of a program.
    pub fn container_of(&self, program: &Program) -> Option<&Container> {
        program
            .container
            .map(|index| &self.containers[index].container)
    }

    /// Every name that a person may have meant.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let containers = self.containers.iter().flat_map(|Placed { container, .. }| {
            let pod = container.pod.as_ref();
            let names = [
                container.name.clone(),
                pod.and_then(|pod| pod.name.clone()),
                pod.map(pod_name),
                Some(container.short_id().to_owned()),
            ];
            names.into_iter().flatten()
        });
        let programs = self
            .programs
            .iter()
            .flat_map(|program| program.names.clone());
        containers.chain(programs)
    }
}

impl Program {
    /// Whether it is called so.
    pub fn is(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// The kernel's name for it.
    pub fn name(&self) -> &str {
        &self.names[0]
    }
}

/// `NAMESPACE/NAME`, or what is known of it.
pub fn pod_name(pod: &Pod) -> String {
    match (&pod.namespace, &pod.name, &pod.uid) {
        (Some(namespace), Some(name), _) => format!("{namespace}/{name}"),
        (None, Some(name), _) => name.clone(),
        (_, None, uid) => uid.clone().unwrap_or_default(),
    }
}

fn first_argument(scanner: &Scanner, pid: u32) -> String {
    let process = scanner.proc().process(pid).ok().flatten();
    let arguments = process.and_then(|process| process.cmdline().ok().flatten());
    let first = arguments.and_then(|arguments| arguments.into_iter().next());
    let first = String::from_utf8_lossy(&first.unwrap_or_default()).into_owned();
    // A login shell calls itself `-bash`.
    let base = first.rsplit('/').next().unwrap_or_default();
    base.trim_start_matches('-').to_owned()
}
