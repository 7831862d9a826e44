//! The node that is looked at, as the command line and the environment describe it.

use std::path::PathBuf;

use clap::Args;
use sexton_scan::Scanner;

/// Where the kernel's file systems are, for a Sexton that runs in a container.
#[derive(Args, Debug)]
pub struct Roots {
    /// Where proc is mounted
    #[arg(
        long,
        global = true,
        env = "SEXTON_PATH_PROCFS",
        default_value = "/proc",
        value_name = "DIR",
        help_heading = "Paths"
    )]
    pub path_procfs: PathBuf,
    /// Where cgroups are mounted
    #[arg(
        long,
        global = true,
        env = "SEXTON_PATH_CGROUPFS",
        default_value = "/sys/fs/cgroup",
        value_name = "DIR",
        help_heading = "Paths"
    )]
    pub path_cgroupfs: PathBuf,
    /// The host's root, for the names that runtimes keep in files
    #[arg(
        long,
        global = true,
        env = "SEXTON_PATH_ROOTFS",
        default_value = "/",
        value_name = "DIR",
        help_heading = "Paths"
    )]
    pub path_rootfs: PathBuf,
}

impl From<Roots> for sexton_scan::Roots {
    fn from(roots: Roots) -> Self {
        Self {
            proc: roots.path_procfs,
            cgroup: roots.path_cgroupfs,
            host: roots.path_rootfs,
        }
    }
}

/// A scanner of that node.
pub fn scanner(roots: Roots) -> Result<Scanner, sexton_scan::Error> {
    Ok(Scanner::new(roots.into())?.with_node_name(name()))
}

/// The node's name, as a pod is told by the downward API (`fieldRef: spec.nodeName`).
pub fn name() -> Option<String> {
    let name = std::env::var("NODE_NAME").ok();
    name.filter(|name| !name.is_empty())
}
