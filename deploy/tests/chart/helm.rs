//! Helm, wherever it is on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use sexton_lab::Skip;

use crate::objects::Object;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program.
pub(crate) struct Helm(PathBuf);

impl Helm {
    /// That of the lab, if it was built, or the one in `PATH`.
    pub(crate) fn find() -> Result<Self, Skip> {
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        let cache = std::env::var_os("SEXTON_LAB_CACHE")
            .map_or(home.join(".cache/sexton-lab"), PathBuf::from);
        let built = std::fs::read_dir(cache)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("done").exists())
            .map(|path| path.join("helm"));
        built
            .chain([PathBuf::from("helm")])
            .find(|helm| Command::new(helm).arg("version").output().is_ok())
            .map(Self)
            .ok_or_else(|| Skip("no helm here (lab/cluster/cluster build makes it)".to_owned()))
    }

    /// Its output, or what it complains about.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.0)
            .args(words)
            .current_dir(root())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// What the chart makes of these values on a server of this version.
    pub(crate) fn render(&self, version: &str, values: &[&str]) -> Result<Vec<Object>, String> {
        let mut words = vec![
            "template",
            "sexton",
            "charts/sexton",
            "--include-crds",
            "-n",
            "sexton",
        ];
        words.extend(["--kube-version", version]);
        words.extend(["--set", "image.repository=registry.example.com/sexton"]);
        for value in values {
            words.extend(["--set", value]);
        }
        let text = self.run(&words)?;
        let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
        Ok(objects
            .into_iter()
            .filter(|object| !object.is_null())
            .map(Object)
            .collect())
    }
}
