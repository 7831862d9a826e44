//! Images made on the spot, as `docker save` would write them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::Containerd;
use crate::container::{SYSTEM_DIRS, is_real_dir};
use crate::program::find;
use crate::skip::Skip;

/// The image of pods' own containers.
pub(super) const PAUSE: &str = "localhost/sexton-test-pause:1";
/// The image of containers, if they do not ask for another.
pub(super) const SYSTEM: &str = "localhost/sexton-test:1";

/// What is in an image.
#[derive(Clone, Copy)]
pub(super) enum Contents {
    /// One program that reaps whatever it inherits, as Kubernetes' own does.
    Pause,
    /// Nothing but places to mount the machine's directories at.
    System,
}

pub(super) fn import_all(containerd: &Containerd) -> Result<(), Skip> {
    import(containerd, PAUSE, Contents::Pause, "")?;
    import(containerd, SYSTEM, Contents::System, "")
}

pub(super) fn import(
    containerd: &Containerd,
    name: &str,
    contents: Contents,
    stop_signal: &str,
) -> Result<(), Skip> {
    let dir = containerd.dir().join("image");
    let _ = fs::remove_dir_all(&dir);
    let rootfs = dir.join("rootfs");
    let said = |error: std::io::Error| Skip(format!("{}: {error}", dir.display()));
    fs::create_dir_all(&rootfs).map_err(said)?;
    let mut config = json!({"Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]});
    match contents {
        Contents::Pause => {
            pause(&rootfs.join("pause"))?;
            config["Entrypoint"] = json!(["/pause"]);
        }
        Contents::System => system(&rootfs).map_err(said)?,
    }
    if !stop_signal.is_empty() {
        config["StopSignal"] = json!(stop_signal);
    }

    let layer = dir.join("layer.tar");
    run(Command::new("tar")
        .arg("-C")
        .arg(&rootfs)
        .arg("-cf")
        .arg(&layer)
        .arg("."))?;
    let sum = run(Command::new("sha256sum").arg(&layer))?;
    let sum = sum.split(' ').next().unwrap_or_default();
    let config = json!({
        "os": "linux",
        "architecture": match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        },
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{sum}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    fs::write(dir.join("config.json"), config.to_string()).map_err(said)?;
    fs::write(dir.join("manifest.json"), manifest.to_string()).map_err(said)?;
    let archive = dir.join("image.tar");
    run(Command::new("tar")
        .arg("-C")
        .arg(&dir)
        .arg("-cf")
        .arg(&archive)
        .args(["manifest.json", "config.json", "layer.tar"]))?;
    run(Command::new("ctr")
        .arg("--address")
        .arg(containerd.socket())
        .args([
            "--namespace",
            "k8s.io",
            "images",
            "import",
            "--snapshotter",
            "native",
        ])
        .arg(&archive))?;
    let _ = fs::remove_dir_all(&dir);
    Ok(())
}

/// A tar of the root file system that containers of the lab have, for engines that import one,
/// and the directories of the machine that are to be mounted over it.
///
/// # Errors
/// [`Skip`] where it cannot be made.
pub fn archive(path: &Path) -> Result<Vec<&'static str>, Skip> {
    let rootfs = path.with_extension("rootfs");
    let said = |error: std::io::Error| Skip(format!("{}: {error}", rootfs.display()));
    fs::create_dir(&rootfs).map_err(said)?;
    system(&rootfs).map_err(said)?;
    run(Command::new("tar")
        .arg("-C")
        .arg(&rootfs)
        .arg("-cf")
        .arg(path)
        .arg("."))?;
    let dirs = SYSTEM_DIRS.into_iter();
    Ok(dirs.filter(|dir| is_real_dir(Path::new(dir))).collect())
}

/// Builds the program that pods begin with. It must run in an empty root, so it is static.
fn pause(path: &Path) -> Result<(), Skip> {
    let Some(cc) = find("cc") else {
        return Skip::because("no C compiler to build pause with");
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/containerd/pause.c");
    run(Command::new(cc)
        .args(["-static", "-Os", "-s", "-o"])
        .arg(path)
        .arg(source))?;
    Ok(())
}

fn system(rootfs: &Path) -> std::io::Result<()> {
    for dir in ["proc", "dev", "sys", "tmp", "run", "var", "root"] {
        fs::create_dir(rootfs.join(dir))?;
    }
    for dir in SYSTEM_DIRS {
        match fs::read_link(dir) {
            // On merged-/usr systems /bin is a link to usr/bin; it is one here, too.
            Ok(link) => symlink(link, rootfs.join(&dir[1..]))?,
            Err(_) if Path::new(dir).is_dir() => fs::create_dir(rootfs.join(&dir[1..]))?,
            Err(_) => {}
        }
    }
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777))
}

fn run(command: &mut Command) -> Result<String, Skip> {
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Skip::because(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Skip::because(format!("{command:?}: {error}")),
    }
}
