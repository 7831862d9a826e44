//! An image as an OCI archive (image-spec, "OCI Image Layout", in a tar), without a builder.
//!
//! The same files give the same bytes, everywhere and always: entries in order, no times, no
//! owners, and no compression, whose output differs between versions of zlib. A registry, or
//! whoever pushes, may compress the layer.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const SPDX: &str = "application/spdx+json";

/// A file: its name and its content.
pub type Named = (String, Vec<u8>);

/// What the image is.
#[derive(Clone, Debug)]
pub struct Image {
    /// Full name with its tag, under which `ctr images import` files it.
    pub name: String,
    /// What it is on each architecture of Linux.
    pub platforms: Vec<Platform>,
    /// `org.opencontainers.image.*`, as labels and as annotations.
    pub labels: BTreeMap<String, String>,
    /// RFC 3339.
    pub created: String,
    /// SPDX documents of what the programs are made of; they refer to the image.
    pub sboms: Vec<Named>,
}

/// The image on one architecture.
#[derive(Clone, Debug)]
pub struct Platform {
    /// As Go names it: `amd64`.
    pub architecture: String,
    /// Programs in its root directory; the first is the entry point.
    pub programs: Vec<Named>,
}

impl Image {
    /// Writes the archive and returns the digest of the index, by which the image is pulled.
    ///
    /// # Errors
    /// What writing says.
    pub fn write(&self, out: impl Write) -> io::Result<String> {
        let mut blobs = BTreeMap::new();
        let manifests: io::Result<Vec<Value>> = self
            .platforms
            .iter()
            .map(|platform| self.manifest(platform, &mut blobs))
            .collect();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": manifests?,
            "annotations": self.labels,
        });
        let mut index = blob(&mut blobs, INDEX, bytes(&index)?);
        let digest = index["digest"].as_str().unwrap_or_default().to_owned();
        let referrer = self.referrer(&index, &mut blobs)?;
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        index["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": tag,
        });
        let roots: Vec<Value> = [index].into_iter().chain(referrer).collect();

        let mut archive = tar::Builder::new(out);
        let layout = json!({"imageLayoutVersion": "1.0.0"});
        append(&mut archive, "oci-layout", &bytes(&layout)?, 0o644)?;
        let roots = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": roots});
        append(&mut archive, "index.json", &bytes(&roots)?, 0o644)?;
        for (digest, content) in &blobs {
            let name = format!("blobs/sha256/{digest}");
            append(&mut archive, &name, content, 0o644)?;
        }
        archive.into_inner()?.flush()?;
        Ok(digest)
    }

    /// The image on one platform.
    fn manifest(&self, platform: &Platform, blobs: &mut Blobs) -> io::Result<Value> {
        let Platform {
            architecture,
            programs,
        } = platform;
        let mut layer = tar::Builder::new(Vec::new());
        for (name, content) in programs {
            append(&mut layer, name, content, 0o755)?;
        }
        let layer = blob(blobs, LAYER, layer.into_inner()?);
        let entry = programs.first().map_or("", |(name, _)| name);
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "created": self.created,
            "config": {
                "Entrypoint": [format!("/{entry}")],
                "User": "0",
                "WorkingDir": "/",
                "Labels": self.labels,
            },
            // The layer is not compressed, so its content has the digest of the blob.
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            "history": [{"created": self.created, "created_by": "sexton-deploy image"}],
        });
        let config = blob(blobs, CONFIG, bytes(&config)?);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
            "annotations": self.labels,
        });
        let mut manifest = blob(blobs, MANIFEST, bytes(&manifest)?);
        manifest["platform"] = json!({"architecture": architecture, "os": "linux"});
        Ok(manifest)
    }

    /// The SBOMs as an artefact that has the image as its subject (image-spec, "Guidelines for
    /// Artifact Usage"): a registry lists it among the image's referrers.
    fn referrer(&self, subject: &Value, blobs: &mut Blobs) -> io::Result<Option<Value>> {
        if self.sboms.is_empty() {
            return Ok(None);
        }
        let layers: Vec<Value> = self
            .sboms
            .iter()
            .map(|(name, content)| {
                let mut layer = blob(blobs, SPDX, content.clone());
                layer["annotations"] = json!({"org.opencontainers.image.title": name});
                layer
            })
            .collect();
        let artefact = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": SPDX,
            "config": blob(blobs, EMPTY, b"{}".to_vec()),
            "layers": layers,
            "subject": subject,
            "annotations": {"org.opencontainers.image.created": self.created},
        });
        let mut artefact = blob(blobs, MANIFEST, bytes(&artefact)?);
        artefact["artifactType"] = SPDX.into();
        Ok(Some(artefact))
    }
}

/// Contents by their SHA-256.
type Blobs = BTreeMap<String, Vec<u8>>;

fn bytes(value: &Value) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

/// Keeps a blob and describes it.
fn blob(blobs: &mut Blobs, kind: &str, content: Vec<u8>) -> Value {
    let hex: String = Sha256::digest(&content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let descriptor = json!({
        "mediaType": kind,
        "digest": format!("sha256:{hex}"),
        "size": content.len(),
    });
    blobs.insert(hex, content);
    descriptor
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    content: &[u8],
    mode: u32,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_data(&mut header, name, content)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn image() -> Image {
        Image {
            name: "sexton.dev/sexton:1.2.3".to_owned(),
            platforms: vec![Platform {
                architecture: "amd64".to_owned(),
                programs: vec![
                    ("sexton".to_owned(), b"one".to_vec()),
                    ("sexton-init".to_owned(), b"two".to_vec()),
                ],
            }],
            labels: BTreeMap::from([("org.opencontainers.image.title".into(), "Sexton".into())]),
            created: "2026-11-24T00:00:00Z".to_owned(),
            sboms: vec![("sexton.spdx.json".to_owned(), b"{}\n".to_vec())],
        }
    }

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(name, content);
        }
        files
    }

    #[test]
    fn every_digest_leads_to_its_blob() {
        let mut archive = Vec::new();
        let digest = image().write(&mut archive).unwrap();
        let files = files(&archive);
        let json = |name: &str| serde_json::from_slice::<Value>(&files[name]).unwrap();
        let path = |digest: &Value| format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
        for (name, content) in &files {
            if let Some(hex) = name.strip_prefix("blobs/sha256/") {
                let sum = Sha256::digest(content);
                let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(sum, hex);
            }
        }
        let roots = json("index.json");
        assert_eq!(roots["manifests"][0]["digest"], digest);
        let index = json(&path(&roots["manifests"][0]["digest"]));
        assert_eq!(index["manifests"][0]["platform"]["architecture"], "amd64");
        let manifest = json(&path(&index["manifests"][0]["digest"]));
        let config = json(&path(&manifest["config"]["digest"]));
        assert_eq!(config["config"]["Entrypoint"], json!(["/sexton"]));
        let layer = &manifest["layers"][0];
        assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);
        let layer = super::tests::files(&files[&path(&layer["digest"])]);
        assert_eq!(layer.keys().collect::<Vec<_>>(), ["sexton", "sexton-init"]);
        assert_eq!(layer["sexton"], b"one");

        let sbom = json(&path(&roots["manifests"][1]["digest"]));
        assert_eq!(sbom["subject"]["digest"], digest);
        assert_eq!(sbom["artifactType"], SPDX);
        assert_eq!(files[&path(&sbom["layers"][0]["digest"])], b"{}\n");
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let digest = image().write(&mut one).unwrap();
        assert_eq!(digest, image().write(&mut other).unwrap());
        assert_eq!(one, other);
        let mut changed = image();
        changed.platforms[0].programs[1].1 = b"too".to_vec();
        assert_ne!(digest, changed.write(io::sink()).unwrap());
    }
}
