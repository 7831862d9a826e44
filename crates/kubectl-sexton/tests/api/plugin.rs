//! As kubectl runs it.

use crate::world::{binary, world};

#[test]
fn kubectl_finds_it_and_completes_it() {
    let Some(world) = world() else { return };
    let dir = tempfile::Builder::new()
        .prefix("sexton-test-")
        .tempdir()
        .unwrap();
    std::os::unix::fs::symlink(binary(), dir.path().join("kubectl-sexton")).unwrap();
    std::os::unix::fs::symlink(binary(), dir.path().join("kubectl_complete-sexton")).unwrap();
    let kubectl = |words: &str| {
        let script = format!("PATH={}:$PATH; kubectl {words}", dir.path().display());
        world.cluster.on_node(1, &["sh", "-c", &script])
    };
    assert_eq!(
        kubectl("sexton leaks -A -o name --no-headers")
            .lines()
            .next(),
        Some("pod/shop/crawler-0")
    );
    let completed = kubectl("__complete sexton le");
    assert!(
        completed.starts_with("leaks\tShow the leaks"),
        "{completed}"
    );
    assert!(completed.contains("\n:4\n"), "{completed}");
}
