//! The golden cases as data.
#![allow(clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use urunc_plan::{HostFacts, NetFacts, Request};

/// Directories of a group of cases, sorted.
pub(crate) fn directories(group: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases").join(group);
    let mut found: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty(), "no case in {group}");
    found
}

/// A JSON file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a plan is made from.
pub(crate) fn inputs(dir: &Path) -> (Request, HostFacts, Option<NetFacts>) {
    let net = dir.join("net.json");
    (read(&dir.join("request.json")), read(&dir.join("host.json")), net.exists().then(|| read(&net)))
}
