//! Where every value of a plan comes from.

use std::collections::BTreeMap;

use crate::launch::{Exec, Filter, LaunchPlan};
use crate::{HostFacts, Request};

/// JSON pointer to input, for every leaf or one of its ancestors.
pub fn sources(req: &Request, host: &HostFacts, plan: &LaunchPlan) -> BTreeMap<String, String> {
    let keys = match req.image.origin.as_str() {
        "" => "settings: delegate".to_owned(),
        origin => origin.to_owned(),
    };
    let settings = |field: &str| {
        let file = if req.settings.origin.is_empty() { "built-in settings" } else { &req.settings.origin };
        format!("{file}: monitors.{}.{field}", plan.monitor)
    };
    let mut sources: BTreeMap<String, String> =
        FIXED.iter().map(|(pointer, from)| ((*pointer).to_owned(), (*from).to_owned())).collect();
    let mut set = |pointer: &str, from: String| sources.insert(pointer.to_owned(), from);
    set("/guest", format!("{keys}: unikernelType"));
    set("/monitor", format!("{keys}: hypervisor"));
    set("/root/image_files", format!("{keys}: binary, initrd, block"));
    set("/root/binds", format!("host: {}", host.monitor.as_ref().map_or("", |monitor| &monitor.path)));
    for (index, filter) in plan.seccomp.iter().enumerate() {
        let from =
            if matches!(filter, Filter::Profile(_)) { "config.json: linux.seccomp" } else { "monitor" };
        set(&format!("/seccomp/{index}"), from.to_owned());
    }
    if plan.memory.limit_bytes.is_none() {
        set("/memory/guest_mib", settings("default_memory_mb"));
    }
    if req.user.uid != plan.identity.uid || req.user.gid != plan.identity.gid {
        set("/identity/uid", settings("uid_range"));
        set("/identity/gid", settings("uid_range"));
    }
    match &plan.exec {
        Exec::Program(program) => {
            set("/exec/program", format!("monitor {}", plan.monitor));
            set("/exec/program/path", "host: monitor".to_owned());
            if let Some(append) = program.args.iter().position(|arg| arg == "-append") {
                let from = format!("guest {}: config.json process.args, process.env, network", plan.guest);
                set(&format!("/exec/program/args/{}", append + 1), from);
            }
            if plan.monitor == "process" {
                set("/exec/program/path", "config.json: process.args".to_owned());
                set("/exec/program/args", "config.json: process.args".to_owned());
                set("/exec/program/env", "config.json: process.env".to_owned());
                set("/exec/program/cwd", "config.json: process.cwd".to_owned());
            }
        }
        Exec::Tender(_) => {
            set("/exec/tender", "built-in monitor".to_owned());
            set("/exec/tender/cmdline", format!("guest {}: config.json process.args, network", plan.guest));
            set("/exec/tender/memory_mib", "memory.guest_mib".to_owned());
            set("/exec/tender/attach", format!("manifest of {}", req.image.binary));
        }
    }
    sources
}

/// What is the same for every plan.
const FIXED: &[(&str, &str)] = &[
    ("/version", "urunc"),
    ("/mode", "monitor"),
    ("/memory", "config.json: linux.resources.memory.limit"),
    ("/memory/overhead_bytes", "monitor"),
    ("/namespaces/entries", "config.json: linux.namespaces"),
    ("/namespaces/hostname", "config.json: hostname"),
    ("/namespaces/domainname", "config.json: domainname"),
    ("/namespaces/sysctl", "config.json: linux.sysctl"),
    ("/namespaces/time_offsets", "config.json: linux.timeOffsets"),
    ("/cgroup/groups", "config.json: linux.cgroupsPath, linux.resources"),
    ("/cgroup/device_rules", "config.json: linux.resources.devices, monitor"),
    ("/root", "monitor"),
    ("/root/propagation", "config.json: linux.rootfsPropagation"),
    ("/root/mounts", "config.json: mounts, process.terminal"),
    ("/root/readonly", "config.json: root.readonly, monitor"),
    ("/identity/uid", "config.json: process.user.uid"),
    ("/identity/gid", "config.json: process.user.gid"),
    ("/identity/groups", "config.json: process.user.additionalGids"),
    ("/identity/umask", "config.json: process.user.umask"),
    ("/identity/capabilities", "monitor"),
    ("/identity/no_new_privs", "urunc"),
    ("/identity/rlimits", "config.json: process.rlimits"),
    ("/identity/oom_score_adj", "config.json: process.oomScoreAdj"),
    ("/identity/apparmor", "config.json: process.apparmorProfile"),
    ("/seccomp", "config.json: linux.seccomp, monitor"),
    ("/net", "network namespace of the container"),
    ("/console", "config.json: process.terminal, process.consoleSize"),
    ("/notices", "urunc"),
    ("/annotations", "host: kvm"),
];
