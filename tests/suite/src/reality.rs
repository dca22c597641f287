//! Plan and reality: the probe plays the monitor, and what it sees must be what `plan --json` says, nothing more.

use crate::bad_input::host::linux_on_probe;
use crate::bundle::Bundle;
use crate::command::until;
use crate::container::{Container, namespace};
use crate::harness::Case;
use crate::image::{LINUX, replaced};
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use urunc_plan::LaunchPlan;
use urunc_plan::launch::{Exec, FdSource, Program, Ready};

/// How each case differs from the plain Linux bundle.
type Change = fn(&Sandbox, Bundle) -> Bundle;

const CASES: &[(&str, Change)] = &[
    ("plain", |_, b| b),
    ("with-an-initrd", |_, b| {
        std::fs::write(b.rootfs().join(".boot/initrd"), [0; 4096]).unwrap();
        b.keys(&replaced(&LINUX, "initrd", "/.boot/initrd"))
    }),
    ("with-a-block-image", |_, b| {
        std::fs::write(b.rootfs().join("disk"), [0; 4096]).unwrap();
        b.keys(&replaced(&LINUX, "block", "/disk"))
    }),
    ("as-a-user-with-groups-and-umask", |_, b| {
        b.with("/process/user", json!({"uid": 1001, "gid": 1002, "additionalGids": [5, 7], "umask": 0o27}))
    }),
    ("with-limits", |_, b| {
        let b = b.with("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512}]));
        let resources = json!({"memory": {"limit": 512 << 20}, "pids": {"limit": 77}, "cpu": {"quota": 50_000, "period": 100_000}});
        b.with("/process/oomScoreAdj", json!(321)).with("/linux/resources", resources)
    }),
    ("with-a-read-only-root", |_, b| b.with("/root/readonly", json!(true))),
    ("with-environment-and-arguments", |_, b| {
        b.with("/process/env", json!(["A=b c", "D=e=f"]))
            .with("/process/args", json!(["/app", "x y", "probe=qmp"]))
    }),
    ("with-the-seccomp-profile-of-an-engine", |_, b| {
        let deny = json!({"names": ["mkdirat", "unlinkat", "reboot"], "action": "SCMP_ACT_ERRNO"});
        b.with("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [deny]}))
    }),
    ("with-a-network", |s, b| {
        let path = Network::make(s);
        b.namespace("network", Some(&path))
    }),
];

/// All cases of the group.
pub fn cases() -> Vec<Case> {
    let case = |&(name, change): &(&'static str, Change)| {
        Case::new("reality", name, move |s: &Sandbox| {
            let bundle = change(s, linux_on_probe(s, &["probe=qmp"]));
            let differences = run(s, &bundle);
            assert!(differences.is_empty(), "{differences:#?}");
        })
    };
    CASES.iter().map(case).collect()
}

/// Runs the bundle; returns where the probe's report and the stored plan disagree.
fn run(s: &Sandbox, bundle: &Bundle) -> Vec<String> {
    s.trees.borrow_mut().push(bundle.path.clone());
    let c = s.container("a", bundle);
    let links = Network::links(s);
    c.create().ok();
    let output = s.last_output().with_extension("out");
    c.start().ok();
    until("the probe reports", || text(&output).contains("\"tree\""));
    let report = text(&output);
    let line = report.lines().find(|line| line.starts_with('{')).expect("a report");
    let report: Value = serde_json::from_str(line).expect("a report");
    let plan = s.run(["plan", "--json", &c.id]).ok().json();
    let plan: LaunchPlan = serde_json::from_value(plan).expect("a plan");
    let Exec::Program(program) = &plan.exec else { panic!("QEMU is a program") };

    let mut seen = Differences(Vec::new());
    seen.program(&report, program);
    seen.identity(&report, &plan);
    seen.tree(&report, &plan, program);
    seen.surroundings(&report, &plan, &c);
    seen.network(&report, &plan, s);
    c.kill("TERM").ok();
    c.until_stopped();
    c.delete().ok();
    seen.same("network after delete", &json!(Network::links(s)), &json!(links));
    Network::remove(s);
    seen.0.extend(s.leftovers());
    seen.0
}

/// What disagrees, in words.
struct Differences(Vec<String>);

impl Differences {
    fn same(&mut self, what: &str, seen: &Value, planned: &Value) {
        if seen != planned {
            self.0.push(format!("{what}: probe saw {seen}, plan says {planned}"));
        }
    }

    fn program(&mut self, report: &Value, program: &Program) {
        self.same("argv", &report["argv"], &json!(program.args));
        self.same("environment", &report["env"], &json!(program.env));
        self.same("working directory", &report["cwd"], &json!(program.cwd));
        let open: Vec<&Value> = report["fds"].as_array().unwrap().iter().map(|fd| &fd["fd"]).collect();
        let planned: Vec<usize> = (0..3 + program.fds.len()).collect();
        self.same("descriptors", &json!(open), &json!(planned));
    }

    fn identity(&mut self, report: &Value, plan: &LaunchPlan) {
        let (seen, planned) = (&report["identity"], &plan.identity);
        self.same("uid", &seen["uid"], &json!(vec![planned.uid; 4]));
        self.same("gid", &seen["gid"], &json!(vec![planned.gid; 4]));
        self.same("groups", &seen["groups"], &json!(planned.groups));
        self.same("umask", &seen["umask"], &json!(format!("{:03o}", planned.umask)));
        self.same("no_new_privs", &seen["no_new_privs"], &json!(planned.no_new_privs));
        self.same("seccomp", &seen["seccomp"], &json!(if plan.seccomp.is_empty() { 0 } else { 2 }));
        if planned.capabilities.is_empty() {
            for set in ["effective", "permitted", "inheritable", "bounding", "ambient"] {
                self.same(set, &seen[set], &json!("0000000000000000"));
            }
        }
        for limit in &planned.rlimits {
            // The probe says infinity as null.
            let planned = [limit.soft, limit.hard].map(|value| (value != u64::MAX).then_some(value));
            self.same(&limit.kind, &report["rlimits"][&limit.kind], &json!(planned));
        }
        self.same("session", &seen["sid"], &seen["pid"]);
    }

    /// Every path of the plan exists, and nothing else does.
    fn tree(&mut self, report: &Value, plan: &LaunchPlan, program: &Program) {
        let root = &plan.root;
        let mut exact: BTreeSet<String> = ["/".to_owned(), program.path.clone()].into();
        exact.extend(root.dirs.iter().map(|d| d.path.clone()));
        exact.extend(root.image_files.iter().map(|f| f.target.clone()));
        exact.extend(root.devices.iter().cloned());
        exact.extend(root.links.iter().map(|(_, path)| path.clone()));
        exact.extend(root.files.iter().map(|f| f.path.clone()));
        exact.extend(program.fds.iter().filter_map(|fd| match fd {
            FdSource::Listener(path) => Some(path.clone()),
            FdSource::Tap => None,
        }));
        if let Ready::Qmp(path) = &program.ready {
            exact.insert(path.clone());
        }
        let below: Vec<&str> = root
            .binds
            .iter()
            .map(|b| b.path.as_str())
            .chain(root.mounts.iter().map(|m| m.target.as_str()))
            .collect();
        let entries = report["tree"].as_array().unwrap();
        let paths: BTreeSet<&str> = entries.iter().filter_map(|e| e["path"].as_str()).collect();
        for path in exact.iter().map(String::as_str).chain(below.iter().copied()) {
            if !paths.contains(path) {
                self.0.push(format!("tree: {path} is planned but not there"));
            }
        }
        exact.insert(urunc_plan::MONITOR_LOG.to_owned());
        let planned: Vec<&str> = exact.iter().map(String::as_str).chain(below.iter().copied()).collect();
        for path in paths {
            let inside = below.iter().any(|bind| Path::new(path).starts_with(bind));
            let leads = planned.iter().any(|planned| Path::new(planned).starts_with(path));
            if !inside && !leads {
                self.0.push(format!("tree: {path} is there but not planned"));
            }
        }
        let writable = |path: &str| entries.iter().any(|e| e["path"] == path && e["writable"] == true);
        let bound = root.binds.iter().map(|b| b.path.as_str());
        let files = root.image_files.iter().filter(|f| !f.writable).map(|f| f.target.as_str());
        for path in bound.chain(files).filter(|path| writable(path)) {
            self.0.push(format!("tree: {path} is writable"));
        }
        if root.readonly && writable("/") {
            self.0.push("tree: / is writable".into());
        }
    }

    /// Namespaces, cgroups and the like, as the host sees them.
    fn surroundings(&mut self, report: &Value, plan: &LaunchPlan, c: &Container<'_>) {
        if let Some(name) = &plan.namespaces.hostname {
            self.same("hostname", &report["hostname"], &json!(name));
        }
        if let Some(value) = plan.identity.oom_score_adj {
            self.same("oom_score_adj", &json!(c.proc("oom_score_adj").trim_end()), &json!(value.to_string()));
        }
        for entry in &plan.namespaces.entries {
            let kind = serde_json::to_value(entry.kind).unwrap();
            let link = match kind.as_str().unwrap() {
                "network" => "net",
                "mount" => "mnt",
                other => other,
            };
            let own = c.namespace(link);
            if entry.path.is_none() && own == namespace("self", link) {
                self.0.push(format!("namespace: {link} is the host's"));
            }
        }
        let membership = c.proc("cgroup");
        for group in &plan.cgroup.groups {
            if !membership.lines().any(|line| line.ends_with(&format!(":{}", group.path))) {
                self.0.push(format!("cgroup: not in {} of {}", group.path, group.mount));
            }
            let simple = |value: &str| value.parse::<u64>().is_ok();
            for write in group.writes.iter().filter(|w| simple(&w.value)) {
                let file = Path::new(&group.mount).join(group.path.trim_start_matches('/')).join(&write.file);
                if simple(text(&file).trim_end()) {
                    self.same(&write.file, &json!(text(&file).trim_end()), &json!(write.value));
                }
            }
        }
    }

    /// The tap, its owner record and the redirection both ways.
    fn network(&mut self, report: &Value, plan: &LaunchPlan, s: &Sandbox) {
        let Some(tap) = &plan.net else {
            if Network::path(s).exists() {
                self.0.push("network: there is a device, but no tap is planned".into());
            }
            return;
        };
        let names: Vec<&str> =
            report["interfaces"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        self.same("interfaces", &json!(names), &json!(["lo", tap.device, tap.name]));
        let links = Network::links(s);
        for device in [&tap.device, &tap.name] {
            for part in ["queue ingress", "filter u32"] {
                if !links.iter().any(|line| line.contains(part) && line.ends_with(&format!(" on {device}"))) {
                    self.0.push(format!("network: no {part} on {device}: {links:#?}"));
                }
            }
        }
        // The alias is the owner record: whatever its form, it names the container.
        let (device, owner) = (format!("device {} tun up", tap.name), s.id("a"));
        if !links.iter().any(|line| line.contains(&device) && line.contains(&owner)) {
            self.0.push(format!("network: no tap that is up and names its owner {owner}: {links:#?}"));
        }
    }
}

/// A named network namespace with one end of a veth pair, as an engine makes it.
struct Network;

impl Network {
    fn path(s: &Sandbox) -> std::path::PathBuf {
        Path::new("/run/netns").join(&s.tag)
    }

    fn make(s: &Sandbox) -> String {
        // The ledger looks first: the namespace is part of what must be gone in the end.
        s.run(["list", "-q"]).ok();
        let (name, peer) = (&s.tag, std::process::id());
        for words in [
            format!("netns add {name}"),
            format!("link add suite{peer} type veth peer name eth0 netns {name}"),
            format!("-n {name} addr add 10.88.0.2/16 dev eth0"),
            format!("-n {name} link set eth0 up"),
            format!("-n {name} route add default via 10.88.0.1"),
        ] {
            assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
        }
        Self::path(s).display().to_string()
    }

    /// What the namespace holds.
    fn links(s: &Sandbox) -> BTreeSet<String> {
        let scope = ledger::Scope {
            netns: vec![s.tag.clone()],
            tags: vec![s.tag.clone()],
            ..ledger::Scope::default()
        };
        let all = ledger::Ledger::take(&scope);
        all.row("link").map(str::to_owned).collect()
    }

    fn remove(s: &Sandbox) {
        if Self::path(s).exists() {
            assert!(Command::new("ip").args(["netns", "delete", &s.tag]).status().unwrap().success());
        }
    }
}
