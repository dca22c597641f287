//! Plan and reality: what runs must be what `plan --json` says, nothing more. The probe plays QEMU; own guests run on
//! the built-in monitor. Filters kill for most questions, so who it is and what its root holds is read from outside.

mod cgroup;
mod compare;
mod golden;
pub mod network;
mod request;
mod tree;

use crate::bundle::Bundle;
use crate::command::until;
use crate::container::Container;
use crate::harness::Case;
use crate::lifecycle;
use crate::probe::linux_on_probe;
use crate::sandbox::{Sandbox, text};
use compare::Differences;
pub use golden::cases as golden;
use network::Network;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
pub(crate) use tree::generated;
use urunc_plan::launch::Exec;
use urunc_plan::{HostFacts, LaunchPlan};

/// How each case differs from the plain Linux bundle. What the golden cases do not have.
type Change = fn(&Sandbox, Bundle) -> Bundle;

const CASES: &[(&str, Change)] = &[
    ("as-a-user-with-groups-and-umask", |_, b| {
        b.with("/process/user", json!({"uid": 1001, "gid": 1002, "additionalGids": [5, 7], "umask": 0o27}))
    }),
    ("with-limits", |_, b| {
        let b = b.with("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512}]));
        let resources = json!({"memory": {"limit": 512 << 20}, "pids": {"limit": 77}, "cpu": {"quota": 50_000, "period": 100_000}});
        b.with("/process/oomScoreAdj", json!(321)).with("/linux/resources", resources)
    }),
    ("with-a-read-only-root", |_, b| b.with("/root/readonly", json!(true))),
    ("with-host-and-domain-name", |_, b| {
        b.with("/hostname", json!("web-2")).with("/domainname", json!("example.net"))
    }),
    ("with-the-seccomp-profile-of-an-engine", |_, b| {
        let deny = json!({"names": ["mkdirat", "unlinkat", "reboot"], "action": "SCMP_ACT_ERRNO"});
        b.with("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [deny]}))
    }),
    ("with-environment-and-arguments", |_, b| {
        b.with("/process/env", json!(["A=b c", "D=e=f"]))
            .with("/process/args", json!(["/app", "x y", "probe=brief", "probe=qmp"]))
    }),
];

/// All cases of the group `reality`.
pub fn cases() -> Vec<Case> {
    let case = |&(name, change): &(&'static str, Change)| {
        Case::new("reality", name, move |s: &Sandbox| {
            let bundle = change(s, linux_on_probe(s, &["probe=brief", "probe=qmp"]));
            s.trees.borrow_mut().push(bundle.path.clone());
            let mut seen = Differences::default();
            play(&s.container("a", &bundle), &bundle, &mut seen);
            seen.none();
        })
    };
    CASES.iter().map(case).collect()
}

/// Lives the life of a container and looks at it while it runs. Returns the stored plan as `plan --json` printed it,
/// and the host that it was made for.
fn play(c: &Container<'_>, bundle: &Bundle, seen: &mut Differences) -> (Value, HostFacts) {
    let s = c.sandbox;
    let links = Network::links(s);
    let mut terminal = None;
    if bundle.config["process"]["terminal"] == true {
        terminal = Some(lifecycle::console::create(c));
    } else {
        c.create().ok();
    }
    let output = s.last_output().with_extension("out");
    c.start().ok();
    let printed = values(s.run(["plan", "--json", &c.id]).ok().json());
    let plan = parse(&printed);
    let record = text(&s.root().join(&c.id).join("record.json"));
    let mut record: Value = serde_json::from_str(&record).expect("a record");
    let host = serde_json::from_value(record["host"].take()).expect("facts of the host");
    if let Exec::Program(program) = &plan.exec {
        let report = if let Some(terminal) = &terminal {
            read_line(terminal)
        } else {
            until("the probe reports", || text(&output).contains('\n'));
            text(&output)
        };
        let line = report.lines().find(|line| line.starts_with('{')).expect("a report");
        seen.program(&serde_json::from_str(line).expect("a report"), program);
    }
    seen.identity(&plan, c);
    seen.limits(&plan, c);
    seen.descriptors(&plan, c);
    seen.tree(&plan, bundle, c);
    seen.namespaces(&plan, c);
    seen.cgroups(&plan, c);
    seen.network(&plan, c);
    c.kill("TERM").ok();
    c.until_stopped();
    c.delete().ok();
    seen.same("network after delete", &json!(Network::links(s)), &json!(links));
    Network::remove(s);
    for line in s.leftovers() {
        seen.add(line);
    }
    (printed, host)
}

/// One line of a terminal.
fn read_line(terminal: &File) -> String {
    let mut line = String::new();
    BufReader::new(terminal).read_line(&mut line).expect("a terminal");
    line
}

/// The plan as data; its sources are no part of it.
pub(crate) fn parse(printed: &Value) -> LaunchPlan {
    let mut plan = printed.clone();
    plan["sources"] = json!({});
    serde_json::from_value(plan).expect("a plan")
}

/// The plan without the source beside each leaf: `{"from": …, "value": V}` is V.
pub(crate) fn values(json: Value) -> Value {
    match json {
        Value::Object(mut map) if map.len() == 2 && map.contains_key("from") && map.contains_key("value") => {
            map.remove("value").unwrap_or_default()
        }
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(name, value)| (name, values(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(values).collect()),
        leaf => leaf,
    }
}
