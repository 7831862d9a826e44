//! The hash by which the content security policy knows the one style sheet.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

#[expect(clippy::disallowed_methods, reason = "the file is our own")]
fn main() {
    let path = "src/style.css";
    println!("cargo:rerun-if-changed={path}");
    let style = match std::fs::read(path) {
        Ok(style) => style,
        Err(error) => {
            eprintln!("{path}: {error}");
            std::process::exit(1);
        }
    };
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    println!("cargo:rustc-env=STYLE_SHA256={hash}");
}
