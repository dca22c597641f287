//! Plan and reality: the probe plays the monitor, and what it is must be what `plan --json` says, nothing more. The
//! monitor's filter kills for most questions, so who it is and what its root holds is read from outside.

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
            .with("/process/args", json!(["/app", "x y", "probe=brief", "probe=qmp"]))
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
            let bundle = change(s, linux_on_probe(s, &["probe=brief", "probe=qmp"]));
            // Removed after a failure, too.
            let _network = Network(s);
            let differences = run(s, &bundle);
            assert!(differences.is_empty(), "{differences:#?}");
        })
    };
    CASES.iter().map(case).collect()
}

/// Runs the bundle; returns where the probe's report and the stored plan disagree.
fn run(s: &Sandbox, bundle: &Bundle) -> Vec<String> {
    // With a network the ledger has looked already, before the bundle was whole.
    if !Network::path(s).exists() {
        s.trees.borrow_mut().push(bundle.path.clone());
    }
    let c = s.container("a", bundle);
    let links = Network::links(s);
    c.create().ok();
    let output = s.last_output().with_extension("out");
    c.start().ok();
    until("the probe reports", || text(&output).contains("\"argv\""));
    let report = text(&output);
    let line = report.lines().find(|line| line.starts_with('{')).expect("a report");
    let report: Value = serde_json::from_str(line).expect("a report");
    let mut plan = values(s.run(["plan", "--json", &c.id]).ok().json());
    plan["sources"] = json!({});
    let plan: LaunchPlan = serde_json::from_value(plan).expect("a plan");
    let Exec::Program(program) = &plan.exec else { panic!("QEMU is a program") };

    let mut seen = Differences(Vec::new());
    seen.program(&report, program);
    seen.identity(&plan, &c);
    seen.tree(&plan, program, &c);
    seen.surroundings(&plan, &c);
    seen.network(&plan, s);
    c.kill("TERM").ok();
    c.until_stopped();
    c.delete().ok();
    seen.same("network after delete", &json!(Network::links(s)), &json!(links));
    Network::remove(s);
    seen.0.extend(s.leftovers());
    seen.0
}

/// Paths below `dir` of the root at `place`; what is bound or mounted is not looked into.
fn walk(place: &str, dir: &str, closed: &[&str], found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(format!("{place}{dir}/")).into_iter().flatten().flatten() {
        let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|t| t.is_dir()) && !closed.contains(&path.as_str()) {
            walk(place, &path, closed, found);
        }
        found.insert(path);
    }
}

/// The plan without the source beside each leaf: `{"from": …, "value": V}` is V.
fn values(json: Value) -> Value {
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

    fn identity(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
        let planned = &plan.identity;
        let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
        let groups: Vec<String> = planned.groups.iter().map(u32::to_string).collect();
        let mut expected = vec![
            ("Uid", four(planned.uid)),
            ("Gid", four(planned.gid)),
            ("Groups", groups.join(" ")),
            ("Umask", format!("{:04o}", planned.umask)),
            ("NoNewPrivs", u8::from(planned.no_new_privs).to_string()),
            ("Seccomp", if plan.seccomp.is_empty() { "0" } else { "2" }.to_owned()),
            ("Seccomp_filters", plan.seccomp.len().to_string()),
        ];
        if planned.capabilities.is_empty() {
            let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
            expected.extend(sets.map(|set| (set, "0".repeat(16))));
        }
        for (field, value) in expected {
            self.same(field, &json!(c.status_field(field)), &json!(value));
        }
        let limits = c.proc("limits");
        for limit in planned.rlimits.iter().filter(|limit| limit.kind == "RLIMIT_NOFILE") {
            let line = format!("Max open files {} {} files", limit.soft, limit.hard);
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            if !limits.lines().any(|seen| words(seen) == line) {
                self.0.push(format!("rlimits: no {line}"));
            }
        }
    }

    /// Every path of the plan exists, and nothing else does.
    fn tree(&mut self, plan: &LaunchPlan, program: &Program, c: &Container<'_>) {
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
        let mut found = BTreeSet::from(["/".to_owned()]);
        let place = format!("/proc/{}/root", c.pid());
        walk(&place, "", &below, &mut found);
        let paths: BTreeSet<&str> = found.iter().map(String::as_str).collect();
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
        let mounts = c.proc("mountinfo");
        let readonly = |path: &str| {
            let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
            fields.any(|f| f[4] == path && f[5].split(',').any(|option| option == "ro"))
        };
        let bound = root.binds.iter().map(|b| b.path.as_str());
        let files = root.image_files.iter().filter(|f| !f.writable).map(|f| f.target.as_str());
        for path in bound.chain(files).chain(root.readonly.then_some("/")).filter(|path| !readonly(path)) {
            self.0.push(format!("tree: {path} is no read-only mount"));
        }
    }

    /// Namespaces, cgroups and the like, as the host sees them.
    fn surroundings(&mut self, plan: &LaunchPlan, c: &Container<'_>) {
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
    fn network(&mut self, plan: &LaunchPlan, s: &Sandbox) {
        let Some(tap) = &plan.net else {
            if Network::path(s).exists() {
                self.0.push("network: there is a device, but no tap is planned".into());
            }
            return;
        };
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
struct Network<'a>(&'a Sandbox);

impl Drop for Network<'_> {
    fn drop(&mut self) {
        Self::remove(self.0);
    }
}

impl Network<'_> {
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
