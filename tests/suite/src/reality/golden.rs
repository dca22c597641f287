//! The golden cases as real containers: config.json, settings, image files and network are made from what a case of
//! `cases/plans` says. The stored plan must be the golden one, and reality the plan. Cgroups and acceleration follow from
//! the facts of a host, so the golden plan is decided once more with those of this one.

use super::compare::Differences;
use super::network::{Network, in_namespace, inside, ip};
use super::play;
use crate::bundle::Bundle;
use crate::container::Container;
use crate::harness::Case;
use crate::image::{bzimage, declaring, elf64, hvt_guest, idle_with, multiboot, virtio_with};
use crate::probe::{monitor_path, played};
use crate::sandbox::Sandbox;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use urunc_plan::input::{Ingress, Listener, NamespaceKind};
use urunc_plan::kernel::{KernelFacts, KernelFormat};
use urunc_plan::solo5::TARGET_HVT;
use urunc_plan::{HostFacts, NetFacts, Request, decide};

/// Golden cases that are the plan of another host or of no unikernel, or all that begin so (`*`), and what is tested in
/// their place.
const ELSEWHERE: [(&str, &str); 22] = [
    ("apparmor", "a host with AppArmor"),
    ("kvm", "all cases of QEMU, on a host with hardware virtualization"),
    ("kvm-absent", "all cases of QEMU, on a host without /dev/kvm"),
    ("kvm-virt", "all cases of QEMU, on a host with hardware virtualization"),
    ("linux-firecracker-of-glibc", "real-vmm, with a program that is linked so"),
    ("mewz-qemu", "the plan before start: without a network it is refused then"),
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

/// A directory that exists on every host, for the data directory that a case names.
const DATA: [&str; 2] = ["/opt/qemu/share", "/usr/share"];

/// One case per directory that has a plan, its own or that of a case with the same outcome.
pub(super) fn cases() -> Vec<Case> {
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

/// Makes the network of the case, and names it where the request makes or joins one. Who listens there does so until the
/// sockets are closed.
fn connect(s: &Sandbox, request: &mut Request, net: Option<&NetFacts>) -> Vec<OwnedFd> {
    let own = request.namespaces.iter_mut().find(|n| n.kind == NamespaceKind::Network);
    let Some(own) = own.filter(|n| net.is_some() || n.path.is_some()) else { return Vec::new() };
    own.path = Some(Network::make(s, net.unwrap_or(&NetFacts::default())));
    let Some(net) = net else { return Vec::new() };
    if request.static_network {
        forwarding(s, net);
    }
    let resolv = s.dir.join("resolv.conf");
    let lines = net.nameservers.iter().map(|server| format!("nameserver {server}\n"));
    fs::write(&resolv, lines.collect::<String>()).unwrap();
    request.mounts.push(urunc_plan::input::Mount {
        destination: "/etc/resolv.conf".into(),
        kind: "bind".into(),
        source: resolv.display().to_string(),
        options: vec!["rbind".into()],
    });
    listen(s, &net.listeners)
}

/// What the static mode looks at: a new namespace takes the host's settings over.
fn forwarding(s: &Sandbox, net: &NetFacts) {
    for device in &net.devices {
        let (name, on) = (&device.name, u8::from(device.forwarding));
        inside(s, &format!("sysctl -q net/ipv4/conf/{name}/forwarding={on}"));
        if device.ingress == Ingress::Foreign {
            inside(s, &format!("tc qdisc add dev {name} clsact"));
        }
    }
}

fn listen(s: &Sandbox, listeners: &[Listener]) -> Vec<OwnedFd> {
    if listeners.is_empty() {
        return Vec::new();
    }
    ip(&format!("-n {} link set lo up", s.tag));
    let bound = |listener: &Listener| -> OwnedFd {
        let place = (listener.address, listener.port);
        if listener.tcp {
            TcpListener::bind(place).expect("a free port").into()
        } else {
            UdpSocket::bind(place).expect("a free port").into()
        }
    };
    in_namespace(&s.tag, || listeners.iter().map(bound).collect())
}

/// config.toml; the probe plays every monitor that is no part of urunc.
fn settings(s: &Sandbox, request: &Request) {
    let mut monitors = request.settings.monitors.clone();
    monitors.entry("qemu".into()).or_default().path = monitor_path().display().to_string();
    for name in ["firecracker", "cloud-hypervisor"] {
        monitors.entry(name.into()).or_default().path = played(s, name).display().to_string();
    }
    for name in ["spt", "hvt"] {
        if let Some(tender) = monitors.get_mut(name).filter(|tender| !tender.path.is_empty()) {
            tender.path = played(s, &format!("solo5-{name}")).display().to_string();
        }
    }
    let mut text = String::new();
    for (name, monitor) in monitors {
        writeln!(text, "[monitors.{name}]").unwrap();
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                writeln!(text, "{key} = {value}").unwrap();
            }
        };
        let quoted = |value: &String| (!value.is_empty()).then(|| format!("{value:?}"));
        line("path", quoted(&monitor.path));
        line("data_path", quoted(&monitor.data_path.replace(DATA[0], DATA[1])));
        line("default_memory_mb", monitor.default_memory_mb.map(|n| n.to_string()));
        line("default_vcpus", monitor.default_vcpus.map(|n| n.to_string()));
        line("machine", quoted(&monitor.machine));
        line("uid_range", monitor.uid_range.map(|(first, count)| format!("\"{first}:{count}\"")));
        line("allow_emulation", monitor.allow_emulation.map(|yes| yes.to_string()));
    }
    fs::write(&s.settings, text).unwrap();
}

/// The bundle that the request was made from.
fn bundle(s: &Sandbox, request: &Request) -> Bundle {
    let image = &request.image;
    let keys = [
        ("unikernelType", image.guest.as_str()),
        ("hypervisor", &image.monitor),
        ("binary", &image.binary),
        ("cmdline", &image.cmdline),
        ("initrd", &image.initrd),
        ("block", &image.block),
        ("blkMntPoint", &image.block_mount_point),
        ("unikernelVersion", &image.version),
        ("solo5NetDev", &image.solo5_net),
        ("solo5BlkDev", &image.solo5_block),
    ];
    let keys: Vec<_> = keys.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut bundle = s.bundle("b").unikernel(&[], &keys);
    let kernel = request.kernel.as_ref().expect("a kernel");
    file(&bundle, &image.binary, &stand_in(kernel), kernel.bytes);
    file(&bundle, &image.initrd, &[], request.initrd_bytes.unwrap_or_default());
    file(&bundle, &image.block, &[], request.block.as_ref().map_or(0, |block| block.bytes));
    bundle.config = without_nulls(config(request));
    bundle.write();
    if image.origin == "annotations" {
        fs::remove_file(bundle.rootfs().join("urunc.json")).unwrap();
        bundle = bundle.annotations(&keys);
    }
    bundle
}

/// A file of the image that begins with `content` and is at least `bytes` long.
fn file(bundle: &Bundle, path: &str, content: &[u8], bytes: u64) {
    if !path.is_empty() {
        let path = bundle.rootfs().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let size = bytes.max(content.len() as u64);
        fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
    }
}

/// A kernel with the headers that the case knows of. The probe boots none; on spt and hvt it is the own guest that idles.
fn stand_in(kernel: &KernelFacts) -> Vec<u8> {
    match (kernel.format, &kernel.solo5) {
        (_, Some(image)) if image.target == TARGET_HVT => declaring(&hvt_guest("idle"), &image.devices),
        (_, Some(image)) if image.target == 2 => idle_with(&image.devices),
        (_, Some(image)) => virtio_with(&image.devices),
        (KernelFormat::Elf64, None) => elf64(kernel.pvh, kernel.multiboot),
        (KernelFormat::Elf32, None) => multiboot(),
        (_, None) => bzimage(),
    }
}

fn config(request: &Request) -> Value {
    let user = &request.user;
    let rlimits = request.rlimits.iter().map(|l| json!({"type": l.kind, "soft": l.soft, "hard": l.hard}));
    let mounts = request.mounts.iter().map(
        |m| json!({"destination": m.destination, "type": m.kind, "source": m.source, "options": m.options}),
    );
    let namespaces = request.namespaces.iter().map(|n| json!({"type": n.kind, "path": n.path}));
    let offsets = request.time_offsets.iter();
    let offsets = offsets.map(|(clock, (s, ns))| (clock.clone(), json!({"secs": s, "nanosecs": ns})));
    let size = request.console_size.map(|(rows, columns)| json!({"height": rows, "width": columns}));
    let propagation = Some(&request.propagation).filter(|p| !p.is_empty());
    let mode = request.static_network.then(|| json!({"com.urunc.network.mode": "static"}));
    json!({
        "ociVersion": "1.0.2",
        "annotations": mode,
        "process": {
            "user": {
                "uid": user.uid, "gid": user.gid, "additionalGids": user.groups, "umask": user.umask
            },
            "args": request.args,
            "env": request.env,
            "cwd": request.cwd,
            "terminal": request.terminal,
            "consoleSize": size,
            "rlimits": rlimits.collect::<Vec<_>>(),
            "oomScoreAdj": request.oom_score_adj,
            "apparmorProfile": request.apparmor,
            "selinuxLabel": request.selinux,
            "capabilities": request.ordinary.capabilities,
            "noNewPrivileges": request.ordinary.no_new_privs
        },
        "root": {"path": "rootfs", "readonly": request.readonly},
        "hostname": request.hostname,
        "domainname": request.domainname,
        "mounts": mounts.collect::<Vec<_>>(),
        "linux": {
            "namespaces": namespaces.collect::<Vec<_>>(),
            "timeOffsets": offsets.collect::<Map<_, _>>(),
            "sysctl": request.sysctl,
            "rootfsPropagation": propagation,
            "cgroupsPath": request.cgroups_path,
            "resources": request.resources,
            "seccomp": request.seccomp,
            "maskedPaths": request.ordinary.masked,
            "readonlyPaths": request.ordinary.readonly,
            "devices": request.ordinary.devices.iter().map(|d| json!({"path": d.path, "type": d.kind})).collect::<Vec<_>>()
        }
    })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let members = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        leaf => leaf,
    }
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
