//! Link arguments of the program: it brings its own entry and, when released, nothing else.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=discard.ld");
    let script = format!("-Wl,-T,{}/discard.ld", env!("CARGO_MANIFEST_DIR"));
    let mut arguments = vec!["-nostartfiles"];
    // The dev profile unwinds, and a program that unwinds needs std (src/main.rs), hence
    // libc, hence the dynamic linker. The release profile aborts and stands alone.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        arguments.extend([
            "-nostdlib",
            "-static",
            "-no-pie",
            // Every page that is not there is a page that is never in memory.
            "-Wl,-z,noseparate-code",
            "-Wl,-z,max-page-size=4096",
            "-Wl,-z,norelro",
            "-Wl,--build-id=none",
            "-Wl,--gc-sections",
            "-Wl,--strip-all",
            // Nothing unwinds: a panic ends the process.
            "-Wl,--no-eh-frame-hdr",
            &script,
        ]);
    }
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
