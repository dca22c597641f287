//! `suite [GROUP]... [--only TEXT]`: runs the groups (default: all) against `RUNTIME`; `suite --list` names the cases;
//! `suite --catalogue FILE` renews the table of attacks in FILE.
#![allow(clippy::print_stdout, clippy::exit)]

use suite::harness::{self, Case};
use suite::sandbox::{Flavour, Runtime};

/// Golden cases are some hundred files: the process of another case does not look for them.
fn asks_for_golden(words: &[&str]) -> bool {
    match words {
        ["--case", name] => name.starts_with("golden/"),
        [option, ..] if option.starts_with("--") => true,
        groups => groups.is_empty() || groups.contains(&"golden"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut cases: Vec<Case> = suite::lifecycle::cases();
    cases.extend(suite::machine::cases());
    cases.extend(suite::bad_input::cases());
    cases.extend(suite::crash::cases());
    cases.extend(suite::storm::cases());
    cases.extend(suite::chaos::cases());
    cases.extend(suite::review::cases());
    cases.extend(suite::reality::cases());
    if asks_for_golden(&words) {
        cases.extend(suite::reality::golden());
    }
    cases.extend(suite::real_vmm::cases());
    cases.extend(suite::delegation::cases());
    cases.extend(suite::memory::cases());
    cases.extend(suite::exits::cases());
    cases.extend(suite::faults::cases());
    cases.extend(suite::hostile::cases());
    cases.extend(suite::catalogue::cases());
    cases.extend(suite::hostile_guest::cases());
    cases.extend(suite::hvt_guest::cases());
    cases.extend(suite::net_guest::cases());
    cases.extend(suite::net_linux::cases());
    cases.extend(suite::virtio_guest::cases());
    if Runtime::from_env().flavour == Flavour::Runc {
        // It boots no image.
        cases.retain(|case| matches!(case.group, "lifecycle" | "bad-config" | "crash" | "storm"));
    }
    let groups = match words.as_slice() {
        ["--case", name] => {
            let case = cases.iter().find(|c| format!("{}/{}", c.group, c.name) == *name);
            std::process::exit(case.map_or(2, harness::run_one));
        }
        ["--catalogue", file] => std::process::exit(i32::from(!suite::catalogue::refresh(file.as_ref()))),
        ["--list"] => {
            for case in &cases {
                println!("{}/{}", case.group, case.name);
            }
            return;
        }
        [groups @ .., "--only", text] => {
            cases.retain(|case| case.name.contains(text));
            groups
        }
        groups => groups,
    };
    if let Some(unknown) = groups.iter().find(|group| !cases.iter().any(|case| case.group == **group)) {
        eprintln!("suite: no such group: {unknown}");
        std::process::exit(2);
    }
    cases.retain(|case| groups.is_empty() || groups.contains(&case.group));
    let (passed, failed) = harness::run_all(&cases);
    println!("{passed} passed, {failed} failed, 0 skipped");
    std::process::exit(i32::from(failed > 0 || passed == 0));
}
