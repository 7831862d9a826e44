//! The documents: every relative link leads somewhere, and every page is reached from README.

// A test reads files that it made, and those of processes that it started.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[test]
fn every_link_leads_somewhere_and_every_page_is_reached() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().unwrap();
    let (mut reached, mut broken) = (BTreeSet::new(), vec![]);
    let mut next = vec![root.join("README.md")];
    while let Some(page) = next.pop() {
        if !reached.insert(page.clone()) {
            continue;
        }
        for link in links(&std::fs::read_to_string(&page).unwrap()) {
            let path = page.parent().unwrap().join(&link);
            match path.canonicalize() {
                Ok(path) if path.extension().is_some_and(|kind| kind == "md") => next.push(path),
                Ok(_) => {}
                Err(_) => broken.push(format!("{}: {link}", shown(&page, &root))),
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new(), "these lead nowhere");

    let mut lost = pages(&root.join("docs"));
    lost.retain(|page| !reached.contains(page));
    let lost: Vec<_> = lost.iter().map(|page| shown(page, &root)).collect();
    assert_eq!(lost, Vec::<String>::new(), "README leads to none of these");
}

/// Targets of the links of a page that stay in the repository, without their anchors.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://") && !link.starts_with('#'))
        .map(|link| link.split('#').next().unwrap_or(link).to_owned())
        .collect()
}

fn pages(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|kind| kind == "md") {
            found.push(path);
        }
    }
    found
}

fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}
