//! Writes `docs/causes.md` and `docs/runbooks/causes/` from the knowledge base.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let directory = docs.join("runbooks/causes");
    // So that the page of a cause that is gone goes too.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)?;
    for (path, page) in sexton_core::cause::handbook() {
        fs::write(docs.join(path), page)?;
    }
    Ok(())
}
