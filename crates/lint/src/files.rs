//! Files by name, folders with what is in them, and standard input.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sexton_policyfile::yaml;

use crate::{Kind, Source, Unread, kind};

/// Folders within folders.
const DEEPEST: u32 = 24;
/// Members of all folders together that are looked at.
const MOST_MEMBERS: usize = 200_000;
/// Bytes that are in memory at once.
const MOST_BYTES: usize = 256 << 20;
/// What others have written, or what was built.
const PASSED_OVER: [&str; 4] = ["node_modules", "vendor", "target", "__pycache__"];

/// The files that these paths stand for. Of a folder: Dockerfiles, YAML and scripts, at any depth; links
/// are not followed. `-` is standard input.
#[must_use]
pub fn read<P: AsRef<Path>>(paths: &[P]) -> (Vec<Source>, Vec<Unread>) {
    let mut all = All::default();
    for path in paths {
        let path = path.as_ref();
        if path == Path::new("-") {
            all.add(path, yaml::read_from(io::stdin().lock()));
        } else if fs::metadata(path).is_ok_and(|meta| meta.is_dir()) {
            all.folder(path, 0);
        } else {
            all.add(path, yaml::read(path));
        }
    }
    (all.sources, all.unread)
}

#[derive(Default)]
struct All {
    sources: Vec<Source>,
    unread: Vec<Unread>,
    members: usize,
    bytes: usize,
}

impl All {
    fn add(&mut self, path: &Path, text: io::Result<String>) {
        let text = text.and_then(|text| {
            self.bytes = self.bytes.saturating_add(text.len());
            if self.bytes > MOST_BYTES {
                return Err(io::Error::other(
                    "all files together are larger than 256 MiB",
                ));
            }
            Ok(text)
        });
        match text {
            Ok(text) => self.sources.push(Source {
                path: path.to_owned(),
                text,
            }),
            Err(error) => self.unread(path, &error),
        }
    }

    fn unread(&mut self, path: &Path, error: &io::Error) {
        self.unread.push(Unread {
            file: path.to_owned(),
            message: error.to_string(),
        });
    }

    fn folder(&mut self, folder: &Path, depth: u32) {
        let members = match self.members_of(folder, depth) {
            Ok(members) => members,
            Err(error) => return self.unread(folder, &error),
        };
        for (path, is_folder) in members {
            if is_folder {
                self.folder(&path, depth + 1);
            } else {
                match yaml::read(&path) {
                    // Only what would be judged is worth a word; a script is read for others.
                    Err(_) if !is_judged(&path) => {}
                    text => self.add(&path, text),
                }
            }
        }
    }

    /// Regular files that are read, and folders, in the order of their names.
    fn members_of(&mut self, folder: &Path, depth: u32) -> io::Result<Vec<(PathBuf, bool)>> {
        if depth > DEEPEST {
            return Err(io::Error::other("it is too deep in other folders"));
        }
        let mut members = Vec::new();
        for entry in fs::read_dir(folder)? {
            self.members += 1;
            if self.members > MOST_MEMBERS {
                return Err(io::Error::other("there are more than 200,000 files"));
            }
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || PASSED_OVER.contains(&name.as_ref()) {
                continue;
            }
            if kind.is_dir() || (kind.is_file() && (is_judged(&path) || is_script(&name))) {
                members.push((path, kind.is_dir()));
            }
        }
        members.sort();
        Ok(members)
    }
}

fn is_judged(path: &Path) -> bool {
    let source = Source {
        path: path.to_owned(),
        text: String::new(),
    };
    kind(&source) != Kind::Other
}

fn is_script(name: &str) -> bool {
    [".sh", ".bash", ".py"]
        .iter()
        .any(|end| name.ends_with(end))
        || !name.contains('.')
}
