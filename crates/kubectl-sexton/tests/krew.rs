//! krew's manifest of a release, as `scripts/krew` prints it.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a release builds the plugin for: each has its place in the manifest.
fn platforms() -> Vec<String> {
    let list = include_str!("../../../packaging/platforms");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let platforms: Vec<String> = lines
        .filter(|line| line.ends_with(" kubectl-sexton"))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert!(platforms.len() >= 5, "{list}");
    platforms
}

fn archive(dir: &Path, platform: &str, program: &str) -> PathBuf {
    std::fs::write(dir.join(program), platform).unwrap();
    let archive = dir.join(format!("kubectl-sexton_{platform}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(dir)
        .arg("-czf")
        .arg(&archive)
        .arg(program);
    assert!(tar.status().unwrap().success());
    archive
}

fn krew(dir: &Path) -> Output {
    let mut script = Command::new(root().join("scripts/krew"));
    script
        .arg(dir)
        .arg("https://example.org/releases/")
        .output()
        .unwrap()
}

#[test]
fn digests_version_and_address_are_filled_in() {
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    let mut archives = Vec::new();
    for platform in &platforms() {
        let windows = platform.starts_with("windows");
        let program = if windows {
            "kubectl-sexton.exe"
        } else {
            "kubectl-sexton"
        };
        archives.push(archive(dir.path(), platform, program));
    }
    let output = krew(dir.path());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        !text.contains("RELEASES") && !text.contains("00000000"),
        "{text}"
    );
    let manifest: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(manifest["metadata"]["name"], "sexton");
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["spec"]["version"], version);
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), archives.len());
    for (platform, archive) in platforms.iter().zip(&archives) {
        let name = archive.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            platform["uri"],
            format!("https://example.org/releases/{version}/{name}")
        );
        let sum = Command::new("sha256sum").arg(archive).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert_eq!(platform["sha256"].as_str(), sum.split_whitespace().next());
        let labels = &platform["selector"]["matchLabels"];
        let (os, arch) = (
            labels["os"].as_str().unwrap(),
            labels["arch"].as_str().unwrap(),
        );
        assert!(name.contains(&format!("_{os}_{arch}.")), "{name}");
        assert_eq!(platform["files"][0]["from"], platform["bin"]);
    }
}

#[test]
fn an_archive_without_its_program_is_refused() {
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    for platform in &platforms() {
        archive(dir.path(), platform, "something-else");
    }
    let output = krew(dir.path());
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("lacks kubectl-sexton"), "{said}");
}

#[test]
fn a_platform_without_an_archive_is_left_out_and_named() {
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    archive(dir.path(), "linux_amd64", "kubectl-sexton");
    archive(dir.path(), "windows_amd64", "kubectl-sexton.exe");
    let output = krew(dir.path());
    assert!(output.status.success(), "{output:?}");
    let manifest: Value =
        serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    let labels: Vec<&Value> = platforms
        .iter()
        .map(|platform| &platform["selector"]["matchLabels"]["os"])
        .collect();
    assert_eq!(labels, ["linux", "windows"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no kubectl-sexton_darwin_arm64.tar.gz"),
        "{said}"
    );
}
