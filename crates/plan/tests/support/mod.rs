//! The golden cases as data.
#![allow(clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use urunc_plan::{HostFacts, NetFacts, Request};

/// Directories of a group of cases, sorted.
pub(crate) fn directories(group: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases").join(group);
    let mut found: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty(), "no case in {group}");
    found
}

/// A JSON file. State files may have fields of a newer release; a case that has an unknown one is misspelt.
pub(crate) fn read<T: DeserializeOwned + Serialize>(path: &Path) -> T {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let asked: Value =
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read: T =
        serde_json::from_value(asked.clone()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    known(path, &asked, &serde_json::to_value(&read).unwrap());
    read
}

/// Every field of `asked` is in what was understood of it.
fn known(path: &Path, asked: &Value, read: &Value) {
    match (asked, read) {
        (Value::Object(asked), Value::Object(read)) => {
            for (name, value) in asked {
                let read =
                    read.get(name).unwrap_or_else(|| panic!("{}: unknown field {name}", path.display()));
                known(path, value, read);
            }
        }
        (Value::Array(asked), Value::Array(read)) => {
            asked.iter().zip(read).for_each(|(asked, read)| known(path, asked, read));
        }
        _ => {}
    }
}

/// What a plan is made from.
pub(crate) fn inputs(dir: &Path) -> (Request, HostFacts, Option<NetFacts>) {
    let net = dir.join("net.json");
    (read(&dir.join("request.json")), read(&dir.join("host.json")), net.exists().then(|| read(&net)))
}
