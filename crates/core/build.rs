//! Checks the knowledge base and compiles it into static data.

#[path = "build/schema.rs"]
mod schema;

use std::path::Path;
use std::{env, fs};

#[expect(clippy::disallowed_methods, reason = "the files are our own")]
fn main() {
    println!("cargo::rerun-if-changed=knowledge");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/cause/words.rs");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let directory = Path::new(&root).join("knowledge");
    let listing =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = listing
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();

    let mut code = String::from("pub(super) static ENTRIES: &[Entry] = &[\n");
    let mut failed = files.is_empty();
    for path in &files {
        let shown = path.strip_prefix(&root).unwrap_or(path);
        let text =
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown.display()));
        match schema::compile(shown, &text) {
            Ok(entry) => code.push_str(&format!("{entry},\n")),
            Err(faults) => {
                failed = true;
                for fault in faults {
                    // cargo prints only the first line of a message.
                    println!("cargo::error={}", fault.replace('\n', " | "));
                }
            }
        }
    }
    assert!(!failed, "the knowledge base has faults");
    code.push_str("];\n");
    let target = Path::new(&out).join("knowledge.rs");
    fs::write(&target, code).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
}
