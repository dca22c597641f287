//! The golden cases as real containers: config.json, settings, image files and network are made from what a case of
//! `cases/plans` says. The stored plan must be the golden one, and reality the plan. Cgroups and acceleration follow from
//! the facts of a host, so the golden plan is decided once more with those of this one.

use super::compare::Differences;
use super::network::Network;
use super::play;
use super::request::{DATA, bundle, connect, settings};
use crate::container::Container;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use urunc_plan::{HostFacts, NetFacts, Request, decide};

/// Golden cases that are the plan of another host or of no unikernel, or all that begin so (`*`), and what is tested in
/// their place.
const ELSEWHERE: [(&str, &str); 23] = [
    ("apparmor", "a host with AppArmor"),
    ("kvm", "all cases of QEMU, on a host with hardware virtualization"),
    ("kvm-absent", "all cases of QEMU, on a host without /dev/kvm"),
    ("kvm-virt", "all cases of QEMU, on a host with hardware virtualization"),
    ("linux-firecracker-of-glibc", "real-vmm, with a program that is linked so"),
    ("mewz-qemu", "the plan before start: without a network it is refused then"),
    ("mewz-qemu-q35", "the plan before start: without a network it is refused then"),
    (
        "kernel-without-keys",
        "unit tests: the runner states the keys; delegation: an image with nothing but a kernel",
    ),
    ("kernel-of-solo5-without-keys", "delegation: an image with nothing but a kernel"),
    ("linux-qemu-virt*", "all cases of QEMU, on an aarch64 host"),
    ("linux-qemu-net-vhost", "bad-image: vhost without the device; a host with vhost_net"),
    ("linux-qemu-net-unknown-gateway", "urunc-sys: the tap answers for a gateway"),
    ("linux-qemu-net-static-iptables", "urunc-sys: the static mode without nf_tables"),
    ("linux-qemu-net-static-leftover", "net-guest: static-mode-what-an-ended-guest-left-is-taken-over"),
    ("network-of-the-host-unconnected", "bad-net: the host's network, unconnected"),
    ("network-unknown-at-create", "the plan before start"),
    ("seccomp-qemu", "bad-image: a profile under which nothing can be executed"),
    ("process", "the group lifecycle"),
    ("process-from-settings-only", "the group lifecycle"),
    ("process-as-asked", "lifecycle: capabilities, masked and read-only paths, devices"),
    ("process-user-namespace", "lifecycle: a-user-namespace-has-users-of-its-own"),
    ("process-without-mount-namespace", "catalogue: d-01-an-ordinary-container-in-the-runtime-s-mounts"),
    ("process-in-another-mount-namespace", "catalogue: d-01-an-ordinary-container-in-another-s-mounts"),
];

/// Leaves of a plan that belong to the host, with reasons.
const HOST: [(&str, &str); 4] = [
    ("/root/binds", "libraries and data of the monitor; the probe is static"),
    ("/exec/program/path", "where the monitor is installed"),
    ("/exec/program/args/0", "where the monitor is installed"),
    ("/exec/program/args/-L", "where its data is installed"),
];

/// One case per directory that has a plan, its own or that of a case with the same outcome.
pub fn cases() -> Vec<Case> {
    let mut names: Vec<String> =
        fs::read_dir(directory()).unwrap().map(|e| name(&e.unwrap().path())).collect();
    names.sort();
    let is = |name: &String, other: &str| match other.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == other,
    };
    assert!(ELSEWHERE.iter().all(|(other, _)| names.iter().any(|n| is(n, other))), "no such golden case");
    names.retain(|name| golden(name).is_some() && !ELSEWHERE.iter().any(|(other, _)| is(name, other)));
    let case = |name: String| Case::new("golden", name.clone(), move |s: &Sandbox| run(s, &name));
    names.into_iter().map(case).collect()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases/plans")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The golden plan; none when the outcome is an error.
fn golden(name: &str) -> Option<Value> {
    let directory = directory().join(name);
    match fs::read_to_string(directory.join("same-as.txt")) {
        Ok(twin) => golden(twin.trim()),
        Err(_) => Some(serde_json::from_slice(&fs::read(directory.join("plan.json")).ok()?).unwrap()),
    }
}

fn run(s: &Sandbox, name: &str) {
    let directory = directory().join(name);
    let read = |file: &str| fs::read(directory.join(file));
    let mut request: Request = serde_json::from_slice(&read("request.json").unwrap()).unwrap();
    let host: HostFacts = serde_json::from_slice(&read("host.json").unwrap()).unwrap();
    let net: Option<NetFacts> = read("net.json").ok().map(|bytes| serde_json::from_slice(&bytes).unwrap());
    let decide = |request: &Request, host: &HostFacts| {
        let mut plan = decide::plan(request, host, net.as_ref()).unwrap();
        plan.sources.clear();
        serde_json::to_value(plan).unwrap()
    };
    let mut golden = golden(name).unwrap();
    golden["sources"] = json!({});
    assert_eq!(decide(&request, &host), golden, "the golden plan on the case's own host");
    request.cgroups_path = format!("/{}-{}", s.tag, request.id);
    let planned = request.clone();

    // Removed after a failure, too.
    let _network = Network(s);
    let hides = request.mounts.is_empty();
    let _listeners = connect(s, &mut request, net.as_ref());
    settings(s, &request);
    let bundle = bundle(s, &request);

    let mut seen = Differences::default();
    let c = Container::new(s, request.id.clone(), bundle.path.clone());
    let (mut plan, here) = play(&c, &bundle, &mut seen);
    let expected = decide(&planned, &HostFacts { kvm: here.kvm, cgroup: here.cgroup, ..host });
    let mut expected = serde_json::from_str(&expected.to_string().replace(DATA[0], DATA[1])).unwrap();
    belongs_to_host(&mut plan, &mut expected);
    if net.is_some() && hides {
        // resolv.conf is a mount of the engine, which the case is too small to have.
        plan["notices"]
            .as_array_mut()
            .unwrap()
            .retain(|n| !n["text"].as_str().unwrap().contains("/etc/resolv.conf"));
    }
    compare("", &plan, &expected, &mut seen);
    seen.none();
}

/// Makes the leaves that belong to the host equal.
fn belongs_to_host(plan: &mut Value, expected: &mut Value) {
    for value in [&mut *plan, &mut *expected] {
        value["sources"] = json!({});
        if let Some(args) = value.pointer_mut("/exec/program/args").and_then(Value::as_array_mut)
            && let Some(at) = args.iter().position(|arg| arg == "-L")
        {
            args.drain(at..at + 2);
        }
    }
    for (pointer, _) in HOST {
        if let (Some(there), Some(here)) = (plan.pointer(pointer), expected.pointer_mut(pointer)) {
            *here = there.clone();
        }
    }
    let joined = plan["namespaces"]["entries"].as_array().unwrap().iter();
    let joined: Vec<Value> = joined.filter(|n| n["kind"] == "network").cloned().collect();
    for entry in expected["namespaces"]["entries"].as_array_mut().unwrap() {
        if entry["kind"] == "network" && joined.iter().any(|n| n["path"].is_string()) {
            *entry = joined[0].clone();
        }
    }
}

/// Notes every leaf that differs.
fn compare(place: &str, plan: &Value, expected: &Value, seen: &mut Differences) {
    match (plan, expected) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for (name, value) in a {
                compare(&format!("{place}/{name}"), value, &b[name], seen);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{place}/{index}"), a, b, seen);
            }
        }
        _ if plan != expected => seen.add(format!("plan: {place} is {plan}, golden is {expected}")),
        _ => {}
    }
}
