//! Where every value of a plan comes from.

use std::collections::BTreeMap;

use crate::launch::{Exec, Filter, LaunchPlan, Port};
use crate::{HostFacts, Request};

/// JSON pointer to input, for every leaf or one of its ancestors.
pub fn sources(req: &Request, host: &HostFacts, plan: &LaunchPlan) -> BTreeMap<String, String> {
    let key = |key: &str| match req.image.origin.as_str() {
        _ if req.image.found.contains_key(key) => "the image's kernel".to_owned(),
        "" => "settings: runtime.delegate".to_owned(),
        origin => format!("{origin}: {key}"),
    };
    let settings = |field: &str| {
        let file = if req.settings.origin.is_empty() { "built-in settings" } else { &req.settings.origin };
        format!("{file}: monitors.{}.{field}", plan.monitor)
    };
    let mut sources: BTreeMap<String, String> =
        FIXED.iter().map(|(pointer, from)| ((*pointer).to_owned(), (*from).to_owned())).collect();
    let mut set = |pointer: &str, from: String| sources.insert(pointer.to_owned(), from);
    set("/guest", key("unikernelType"));
    set("/monitor", key("hypervisor"));
    for (index, file) in plan.root.image_files.iter().enumerate() {
        set(&format!("/root/image_files/{index}"), key(&file.key));
    }
    for (field, from) in NET.iter().filter(|_| plan.net.is_some()) {
        set(&format!("/net/{field}"), (*from).to_owned());
    }
    let routed = plan.net.as_ref().is_some_and(|tap| matches!(tap.port, Port::Routed(_)));
    for (field, from) in ROUTED.iter().filter(|_| routed) {
        set(&format!("/net/{field}"), (*from).to_owned());
    }
    set("/root/binds", format!("host: {}", host.monitor.as_ref().map_or("", |monitor| &monitor.path)));
    for (index, filter) in plan.seccomp.iter().enumerate() {
        let from =
            if matches!(filter, Filter::Profile(_)) { "config.json: linux.seccomp" } else { "monitor" };
        set(&format!("/seccomp/{index}"), from.to_owned());
    }
    if plan.memory.limit_bytes.is_none() {
        set("/memory/guest_mib", settings("default_memory_mb"));
    }
    if req.user.uid != plan.identity.uid {
        set("/identity/uid", settings("uid_range"));
    }
    if req.user.gid != plan.identity.gid {
        set("/identity/gid", settings("uid_range"));
    }
    sources.extend(monitor(req, plan, settings));
    sources
}

/// The sources of [`LaunchPlan::exec`]; `settings` names the source of a field of the monitor's settings.
fn monitor(req: &Request, plan: &LaunchPlan, settings: impl Fn(&str) -> String) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut set = |pointer: &str, from: String| sources.insert(pointer.to_owned(), from);
    let data_path = req.settings.monitors.get(&plan.monitor).map_or("", |monitor| &monitor.data_path);
    match &plan.exec {
        Exec::Program(program) => {
            set("/exec/program", format!("monitor {}", plan.monitor));
            set("/exec/program/path", "host: monitor".to_owned());
            if plan.monitor == "process" {
                set("/exec/program/path", "config.json: process.args".to_owned());
                set("/exec/program/args", "config.json: process.args".to_owned());
                set("/exec/program/env", "config.json: process.env".to_owned());
                set("/exec/program/cwd", "config.json: process.cwd".to_owned());
            } else {
                for (index, pair) in program.args.windows(2).enumerate() {
                    let from = match pair[0].as_str() {
                        "-append" => format!("{}, network", command(plan, "process.args, process.env")),
                        "-m" => "memory.guest_mib".to_owned(),
                        "-smp" => settings("default_vcpus"),
                        "-accel" => "host: kvm".to_owned(),
                        "-L" if data_path.is_empty() => "host: monitor".to_owned(),
                        "-L" => settings("data_path"),
                        _ => continue,
                    };
                    set(&format!("/exec/program/args/{index}"), from.clone());
                    set(&format!("/exec/program/args/{}", index + 1), from);
                }
            }
        }
        Exec::Tender(_) => {
            set("/exec/tender", "built-in monitor".to_owned());
            set("/exec/tender/cmdline", format!("{}, network", command(plan, "process.args")));
            set("/exec/tender/memory_mib", "memory.guest_mib".to_owned());
            set("/exec/tender/attach", format!("manifest of {}", req.image.binary));
        }
    }
    sources
}

fn command(plan: &LaunchPlan, fields: &str) -> String {
    format!("guest {}: config.json {fields}", plan.guest)
}

/// Members of the connection that the network namespace does not say.
const NET: &[(&str, &str)] = &[
    ("alias", "container id"),
    ("gid", "identity.gid"),
    ("leftovers", "owner records"),
    ("name", "first free name"),
    ("nameservers", "config.json: mounts: /etc/resolv.conf"),
    ("port", "urunc"),
    ("resolver", "nameservers, listeners in the network namespace"),
    ("uid", "identity.uid"),
    ("vnet_hdr", "monitor"),
];

/// The same in the static mode, where they are not the container's.
const ROUTED: &[(&str, &str)] = &[
    ("gateway", "static mode"),
    ("gateway6", "static mode"),
    ("ipv4", "static mode"),
    ("ipv6", "static mode"),
    ("port", "config.json: annotations"),
    ("port/routed/address", "static mode"),
    ("port/routed/forwarding", "network namespace of the container"),
    ("port/routed/leftovers", "owner records"),
    ("port/routed/nat", "network namespace of the container"),
];

/// What is the same for every plan.
const FIXED: &[(&str, &str)] = &[
    ("/version", "urunc"),
    ("/mode", "monitor"),
    ("/memory", "config.json: linux.resources.memory.limit"),
    ("/memory/overhead_bytes", "monitor"),
    ("/namespaces/entries", "config.json: linux.namespaces, monitor"),
    ("/namespaces/hostname", "config.json: hostname"),
    ("/namespaces/domainname", "config.json: domainname"),
    ("/namespaces/sysctl", "config.json: linux.sysctl"),
    ("/namespaces/time_offsets", "config.json: linux.timeOffsets"),
    ("/namespaces/uid_map", "config.json: linux.uidMappings"),
    ("/namespaces/gid_map", "config.json: linux.gidMappings"),
    ("/cgroup/groups", "config.json: linux.cgroupsPath, linux.resources"),
    ("/cgroup/scope", "config.json: linux.cgroupsPath, linux.resources"),
    ("/cgroup/device_rules", "config.json: linux.resources.devices, monitor"),
    ("/root", "monitor"),
    ("/root/propagation", "config.json: linux.rootfsPropagation"),
    ("/root/mounts", "config.json: mounts, process.terminal"),
    ("/root/nodes", "config.json: linux.devices"),
    ("/root/masked", "config.json: linux.maskedPaths"),
    ("/root/readonly_paths", "config.json: linux.readonlyPaths"),
    ("/root/readonly", "config.json: root.readonly, monitor"),
    ("/identity/uid", "config.json: process.user.uid"),
    ("/identity/gid", "config.json: process.user.gid"),
    ("/identity/groups", "config.json: process.user.additionalGids"),
    ("/identity/umask", "config.json: process.user.umask"),
    ("/identity/capability_sets", "monitor, config.json: process.capabilities"),
    ("/identity/no_new_privs", "monitor, config.json: process.noNewPrivileges"),
    ("/identity/rlimits", "config.json: process.rlimits"),
    ("/identity/oom_score_adj", "config.json: process.oomScoreAdj"),
    ("/identity/apparmor", "config.json: process.apparmorProfile"),
    ("/seccomp", "config.json: linux.seccomp, monitor"),
    ("/net", "network namespace of the container"),
    ("/console", "config.json: process.terminal, process.consoleSize"),
    ("/notices", "urunc"),
    ("/annotations", "host: kvm"),
];
