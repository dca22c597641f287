//! Golden cases: every directory below `cases/plans` and `cases/keys` is one test; `UPDATE_EXPECT=1` blesses.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::de::DeserializeOwned;
use urunc_plan::{HostFacts, LaunchPlan, NetFacts, Request};

fn main() {
    let arguments = Arguments::from_args();
    let trials = directories("plans").into_iter().map(|dir| trial("plans", dir, plan)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(group: &str, dir: PathBuf, run: fn(&Path) -> Outcome) -> Trial {
    let name = format!("{group}/{}", dir.file_name().unwrap().to_string_lossy());
    Trial::test(name, move || compare(&dir, &run(&dir)))
}

/// What a case must yield: file name and content.
struct Outcome {
    file: &'static str,
    content: String,
}

const EXPECTED: &[&str] = &["plan.json", "error.txt"];

fn plan(dir: &Path) -> Outcome {
    let (request, host, net) = inputs(dir);
    match urunc_plan::decide::plan(&request, &host, net.as_ref()) {
        Ok(plan) => {
            let text = serde_json::to_string_pretty(&plan).unwrap();
            let again: LaunchPlan = serde_json::from_str(&text).unwrap();
            assert_eq!(again, plan, "a stored plan must be read back as it was");
            assert_sources(&plan);
            let text =
                serde_json::to_string_pretty(&LaunchPlan { sources: BTreeMap::new(), ..plan }).unwrap();
            Outcome { file: "plan.json", content: text + "\n" }
        }
        Err(error) => Outcome { file: "error.txt", content: format!("{error}\n") },
    }
}

fn inputs(dir: &Path) -> (Request, HostFacts, Option<NetFacts>) {
    let net = dir.join("net.json");
    (read(&dir.join("request.json")), read(&dir.join("host.json")), net.exists().then(|| read(&net)))
}

fn assert_sources(plan: &LaunchPlan) {
    fn leaves(value: &serde_json::Value, path: &str) {
        match value {
            serde_json::Value::Object(members) if members.contains_key("from") => {
                assert!(members["from"].is_string(), "no source for {path}");
            }
            serde_json::Value::Object(members) => {
                members.iter().for_each(|(k, v)| leaves(v, &format!("{path}/{k}")))
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| leaves(item, path)),
            _ => panic!("{path} is not annotated"),
        }
    }
    leaves(&urunc_plan::show::json(plan), "");
}

fn compare(dir: &Path, outcome: &Outcome) -> Result<(), Failed> {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        for file in EXPECTED.iter().filter(|file| **file != outcome.file) {
            let _ = fs::remove_file(dir.join(file));
        }
        fs::write(dir.join(outcome.file), &outcome.content).unwrap();
        return Ok(());
    }
    let present: Vec<_> = EXPECTED.iter().filter(|file| dir.join(file).exists()).collect();
    let [file] = present.as_slice() else {
        return Err(format!("{} must hold exactly one of {EXPECTED:?}", dir.display()).into());
    };
    let expected = fs::read_to_string(dir.join(file)).unwrap();
    if **file == outcome.file && expected == outcome.content {
        return Ok(());
    }
    Err(format!("expected {file}:\n{expected}\ngot {}:\n{}", outcome.file, outcome.content).into())
}

fn directories(group: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases").join(group);
    let mut found: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty(), "no case in {group}");
    found
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
