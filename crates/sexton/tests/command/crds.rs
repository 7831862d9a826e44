//! `sexton crds`.

use crate::sexton::sexton;

#[test]
fn the_chart_has_the_same() {
    let chart = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../charts/sexton/crds/crds.yaml"
    );
    let chart = std::fs::read_to_string(chart).unwrap_or_default();
    assert!(
        sexton(["crds"]).expect(0).stdout == chart,
        "charts/sexton/crds/crds.yaml: make generate"
    );
}
