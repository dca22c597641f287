//! What the request of a golden case was made from, made: network, settings, image and bundle.

use super::network::{Network, in_namespace, inside, ip};
use crate::bundle::Bundle;
use crate::image::{bzimage, declaring, elf64, hvt_guest, idle_with, multiboot, virtio_with};
use crate::probe::{monitor_path, played};
use crate::sandbox::Sandbox;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use urunc_plan::input::{Ingress, Listener, NamespaceKind};
use urunc_plan::kernel::{KernelFacts, KernelFormat};
use urunc_plan::solo5::TARGET_HVT;
use urunc_plan::{NetFacts, Request};

/// A directory that exists on every host, for the data directory that a case names.
pub(super) const DATA: [&str; 2] = ["/opt/qemu/share", "/usr/share"];

/// Makes the network of the case, and names it where the request makes or joins one. Who listens there does so until the
/// sockets are closed.
pub(super) fn connect(s: &Sandbox, request: &mut Request, net: Option<&NetFacts>) -> Vec<OwnedFd> {
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
pub(super) fn settings(s: &Sandbox, request: &Request) {
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
pub(super) fn bundle(s: &Sandbox, request: &Request) -> Bundle {
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
