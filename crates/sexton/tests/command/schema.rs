//! `sexton schema`.

use crate::sexton::{sexton, validates};

#[test]
fn each_schema_is_valid_and_names_its_draft() {
    for document in [
        "report",
        "limits",
        "reap",
        "policy",
        "policy-check",
        "policy-explain",
        "proof",
        "doctor",
        "lint",
    ] {
        let schema = sexton(["schema", document]).expect(0).json();
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{document}: {error}"));
        assert!(schema["$schema"].is_string(), "{document}");
        assert_eq!(schema["type"], "object", "{document}");
    }
}

#[test]
fn the_report_is_the_default() {
    assert_eq!(
        sexton(["schema"]).expect(0).stdout,
        sexton(["schema", "report"]).expect(0).stdout
    );
}

#[test]
fn a_report_of_this_machine_validates() {
    let report = sexton(["scan", "-o", "json", "--full"]).json();
    validates("report", &report);
    assert_eq!(report["kind"], "NodeReport");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    assert_eq!(report["node"]["kernel"], kernel.trim());
}
