//! The image of the program under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use sexton_deploy::image::{Image, Platform};
use sexton_lab::Cluster;

/// What the tests call it, whatever it is made of.
pub(crate) const REPOSITORY: &str = "localhost/sexton-under-test";

/// Imports it on every node; the chart's values that name it.
pub(crate) fn import(cluster: &Cluster) -> Vec<String> {
    if let Some(archive) = std::env::var_os("SEXTON_TEST_IMAGE") {
        cluster.image(Path::new(&archive));
        // As the chart names it.
        return vec!["image.pullPolicy=Never".to_owned()];
    }
    let program = Path::new(env!("CARGO_BIN_EXE_sexton"));
    let mut files = vec![("sexton".to_owned(), std::fs::read(program).unwrap())];
    for library in libraries(program) {
        let name = library.strip_prefix("/").unwrap().display().to_string();
        files.push((name, std::fs::read(&library).unwrap()));
    }
    let image = Image {
        name: format!("{REPOSITORY}:test"),
        platforms: vec![Platform {
            architecture: "amd64".to_owned(),
            programs: files,
        }],
        labels: Default::default(),
        created: "2026-01-01T00:00:00Z".to_owned(),
        sboms: Vec::new(),
    };
    let archive = tempfile::NamedTempFile::with_prefix("sexton-test-image-").unwrap();
    image.write(archive.as_file()).unwrap();
    cluster.image(archive.path());
    vec![
        format!("image.repository={REPOSITORY}"),
        "image.tag=test".to_owned(),
        "image.pullPolicy=Never".to_owned(),
    ]
}

/// What the program is linked with, its loader too; nothing where it is static.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}
