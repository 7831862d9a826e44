//! Makes what is deployed; `make image`, `make generate` and `make release` run it.

// It reads what was built here.
#![allow(clippy::disallowed_methods)]
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sexton_deploy::image::{Image, Named, Platform};
use sexton_deploy::monitoring::Monitoring;

const USAGE: &str = "\
usage: sexton-deploy image OUT.oci.tar NAME:TAG CREATED REVISION {linux/ARCH PROGRAM...}... [sbom FILE...]
       sexton-deploy monitoring
       sexton-deploy manifests < RENDERED
       sexton-deploy man NAME ABOUT < HELP
       sexton-deploy sbom CREATED < SPDX

  CREATED is a time in RFC 3339, REVISION a commit or `-`; the first PROGRAM is the entry point.
  monitoring writes alerts, dashboard and runbooks from deploy/monitoring/monitoring.toml.
  manifests splits what Helm has rendered into deploy/kubernetes/{crds,sexton}.yaml.
  man makes the manual page of a program from what its --help prints.
  sbom gives an SPDX document the time CREATED, and a name that follows from its content.
";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{USAGE}")]
    Usage,
    #[error("{}: {cause}", path.display())]
    File {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("monitoring.toml: {0}")]
    Source(#[from] toml::de::Error),
    #[error("SPDX: {0}")]
    Sbom(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match *words.as_slice() {
        ["image", out, name, created, revision, ref parts @ ..] if !parts.is_empty() => {
            write_image(Path::new(out), name, created, revision, parts)
        }
        ["monitoring"] => Monitoring::read()
            .map_err(Error::Source)
            .and_then(|monitoring| write(&monitoring.files())),
        ["manifests"] => std::io::read_to_string(std::io::stdin())
            .map_err(failed(Path::new("standard input")))
            .and_then(|rendered| {
                let (crds, rest) = sexton_deploy::manifests::split(&rendered);
                let path = |name: &str| format!("deploy/kubernetes/{name}.yaml");
                write(&[(path("crds"), crds), (path("sexton"), rest)])
            }),
        ["man", name, about] => std::io::read_to_string(std::io::stdin())
            .and_then(|help| sexton_man::of_help(name, env!("CARGO_PKG_VERSION"), about, &help))
            .and_then(|page| std::io::stdout().write_all(&page.text))
            .map_err(failed(Path::new("standard input"))),
        ["sbom", created] => std::io::read_to_string(std::io::stdin())
            .map_err(failed(Path::new("standard input")))
            .and_then(|document| Ok(sexton_deploy::sbom::settle(&document, created)?))
            .map(|document| println!("{document:#}")),
        _ => Err(Error::Usage),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sexton-deploy: {error}");
            ExitCode::from(2)
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |cause| Error::File { path, cause }
}

/// Writes files, by their paths from the repository's root.
fn write(files: &[(String, String)]) -> Result<(), Error> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for (path, content) in files {
        let path = root.join(path);
        fs::write(&path, content).map_err(failed(&path))?;
    }
    Ok(())
}

/// A file that goes into the image, under its own name.
fn read(path: &str) -> Result<Named, Error> {
    let path = Path::new(path);
    let name = path.file_name().ok_or(Error::Usage)?;
    let content = fs::read(path).map_err(failed(path))?;
    Ok((name.to_string_lossy().into_owned(), content))
}

fn write_image(
    out: &Path,
    name: &str,
    created: &str,
    revision: &str,
    parts: &[&str],
) -> Result<(), Error> {
    let (mut platforms, mut sboms, mut in_sboms) = (Vec::<Platform>::new(), Vec::new(), false);
    for part in parts {
        if let Some(architecture) = part.strip_prefix("linux/") {
            platforms.push(Platform {
                architecture: architecture.to_owned(),
                programs: Vec::new(),
            });
        } else if *part == "sbom" {
            in_sboms = true;
        } else if in_sboms {
            sboms.push(read(part)?);
        } else {
            let platform = platforms.last_mut().ok_or(Error::Usage)?;
            platform.programs.push(read(part)?);
        }
    }
    let mut labels = BTreeMap::new();
    let mut label = |key: &str, value: &str| {
        labels.insert(format!("org.opencontainers.image.{key}"), value.to_owned());
    };
    label("title", "Sexton");
    label(
        "description",
        "Finds zombie processes, says whose they are, and reaps them without a restart",
    );
    label("version", env!("CARGO_PKG_VERSION"));
    label("licenses", env!("CARGO_PKG_LICENSE"));
    label("created", created);
    if revision != "-" {
        label("revision", revision);
    }
    let image = Image {
        name: name.to_owned(),
        platforms,
        labels,
        created: created.to_owned(),
        sboms,
    };
    let file = File::create(out).map_err(failed(out))?;
    let digest = image.write(BufWriter::new(file)).map_err(failed(out))?;
    println!("{name}@{digest}");
    Ok(())
}
