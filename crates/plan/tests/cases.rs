//! Golden cases: every directory below `cases/plans` and `cases/keys` is one test; `UPDATE_EXPECT=1` blesses. A case
//! with `same-as.txt` expects the outcome of the case it names, one with `exec.json` only what is executed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use urunc_plan::LaunchPlan;
use urunc_plan::annotations::{self, Verdict};

use support::{directories, inputs, read};

mod support;

fn main() {
    let arguments = Arguments::from_args();
    let plans = directories("plans").into_iter().map(|dir| trial("plans", dir, plan));
    let keys = directories("keys").into_iter().map(|dir| trial("keys", dir, keys));
    libtest_mimic::run(&arguments, plans.chain(keys).collect()).exit();
}

fn trial(group: &str, dir: PathBuf, run: fn(&Path) -> Outcome) -> Trial {
    let name = format!("{group}/{}", dir.file_name().unwrap().to_string_lossy());
    Trial::test(name, move || match fs::read_to_string(dir.join("same-as.txt")) {
        Ok(twin) if run(&dir) == run(&dir.with_file_name(twin.trim())) => Ok(()),
        Ok(twin) => Err(format!("not the same as {twin}").into()),
        Err(_) => compare(&dir, &run(&dir)),
    })
}

/// What a case must yield: file name and content.
#[derive(PartialEq)]
struct Outcome {
    file: &'static str,
    content: String,
}

const EXPECTED: &[&str] =
    &["plan.json", "exec.json", "keys.json", "container.txt", "unstated.txt", "error.txt"];

fn plan(dir: &Path) -> Outcome {
    let (request, host, net) = inputs(dir);
    match urunc_plan::decide::plan(&request, &host, net.as_ref()) {
        Ok(plan) => {
            let text = serde_json::to_string_pretty(&plan).unwrap();
            let again: LaunchPlan = serde_json::from_str(&text).unwrap();
            assert_eq!(again, plan, "a stored plan must be read back as it was");
            assert_sources(&plan);
            if dir.join("exec.json").exists() {
                let text = serde_json::to_string_pretty(&plan.exec).unwrap();
                return Outcome { file: "exec.json", content: text + "\n" };
            }
            let text =
                serde_json::to_string_pretty(&LaunchPlan { sources: BTreeMap::new(), ..plan }).unwrap();
            Outcome { file: "plan.json", content: text + "\n" }
        }
        Err(error) => Outcome { file: "error.txt", content: format!("{error}\n") },
    }
}

fn keys(dir: &Path) -> Outcome {
    let (annotations, file) = (dir.join("annotations.json"), dir.join("urunc.json"));
    let annotations = if annotations.exists() { read(&annotations) } else { BTreeMap::new() };
    let file = file.exists().then(|| fs::read(&file).unwrap());
    match annotations::classify(&annotations, file.as_deref()) {
        Ok(Verdict::Container { reason }) => {
            Outcome { file: "container.txt", content: format!("{reason}\n") }
        }
        Ok(Verdict::Unstated { reason }) => Outcome { file: "unstated.txt", content: format!("{reason}\n") },
        Ok(Verdict::Unikernel { keys, notices }) => {
            let text = serde_json::to_string_pretty(&serde_json::json!({ "keys": keys, "notices": notices }));
            Outcome { file: "keys.json", content: text.unwrap() + "\n" }
        }
        Err(error) => Outcome { file: "error.txt", content: format!("{error}\n") },
    }
}

/// Every leaf says where it comes from.
fn assert_sources(plan: &LaunchPlan) {
    fn leaves(value: &Value, path: &str) {
        match value {
            Value::Object(leaf) if leaf.contains_key("from") => {
                assert!(leaf["from"].is_string(), "no source for {path}");
            }
            Value::Object(members) => {
                for (name, value) in members {
                    leaves(value, &format!("{path}/{name}"));
                }
            }
            Value::Array(items) => {
                for item in items {
                    leaves(item, path);
                }
            }
            _ => panic!("{path} is not annotated"),
        }
    }
    leaves(&urunc_plan::show::json(plan), "");
    assert!(!urunc_plan::show::text(plan).contains("# ?\n"));
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
