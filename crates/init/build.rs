//! Link arguments of the program: it brings its own entry and, by the profile `init`, nothing else.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=discard.ld");
    let script = format!("-Wl,-T,{}/discard.ld", env!("CARGO_MANIFEST_DIR"));
    let mut arguments = vec!["-nostartfiles"];
    // Most profiles unwind, and a program that unwinds needs std (src/main.rs), hence libc,
    // hence the dynamic linker. The profile `init` aborts and stands alone. Cargo tells build
    // scripts neither `panic` nor a profile's own name, so it is known by its level.
    if std::env::var("OPT_LEVEL").as_deref() == Ok("z") {
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
        // Data that is only read belongs to the segment of the code: one page that is cut in two is
        // two in memory. Other linkers have it so, and do not know the option; this is rustc's own.
        if std::env::var("TARGET").as_deref() == Ok("x86_64-unknown-linux-gnu") {
            arguments.push("-Wl,--no-rosegment");
        }
    }
    if arguments.len() == 1 && std::env::var("PROFILE").as_deref() == Ok("release") {
        println!(
            "cargo::warning=this sexton-init needs libc and a dynamic linker; the one for \
             containers is made by: cargo build --profile init -p sexton-init"
        );
    }
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
