//! Rows about objects that the kernel keeps without a process: sockets by name, devices, IPC, keys, settings.

use crate::Scope;
use std::collections::BTreeSet;
use std::fs;

/// Unix sockets with a name (a path, or abstract with a leading `@`).
pub(crate) fn sockets(scope: &Scope, out: &mut BTreeSet<String>) {
    let table = fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
    let names = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(7));
    out.extend(names.filter(|name| scope.owns(name)).map(str::to_owned));
}

/// Block devices of a kind: the attribute exists only while the device is in use.
fn block_devices(prefix: &str, attribute: &str, scope: &Scope, out: &mut BTreeSet<String>) {
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix)
            && let Ok(text) = fs::read_to_string(entry.path().join(attribute))
            && scope.owns(&text)
        {
            out.insert(format!("{name} {}", text.trim_end()));
        }
    }
}

/// Attached loop devices with their backing files.
pub(crate) fn loops(scope: &Scope, out: &mut BTreeSet<String>) {
    block_devices("loop", "loop/backing_file", scope, out);
}

/// Device mapper devices by name.
pub(crate) fn device_mapper(scope: &Scope, out: &mut BTreeSet<String>) {
    block_devices("dm-", "dm/name", scope, out);
}

/// System V shared memory, semaphores and queues by key and id; they have no name that could be a tag.
pub(crate) fn sysv(scope: &Scope, out: &mut BTreeSet<String>) {
    if !scope.is_machine() {
        return;
    }
    for kind in ["shm", "sem", "msg"] {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let id: Vec<&str> = line.split_whitespace().take(2).collect();
            out.insert(format!("{kind} {}", id.join(" ")));
        }
    }
}

/// Keys and keyrings by id, type and description; proc_keys(5).
pub(crate) fn keys(scope: &Scope, out: &mut BTreeSet<String>) {
    let table = fs::read_to_string("/proc/keys").unwrap_or_default();
    for line in table.lines().filter(|line| scope.owns(line)) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Field 2 counts references, field 3 is the time to live: both change by themselves.
        if let [id, _, _, _, _, _, rest @ ..] = fields.as_slice() {
            out.insert(format!("{id} {}", rest.join(" ").trim_end_matches(|c: char| c.is_ascii_digit())));
        }
    }
}

/// Settings of the host that a container escape would change.
pub(crate) fn sysctls(_: &Scope, out: &mut BTreeSet<String>) {
    for name in ["core_pattern", "modprobe", "hostname", "domainname"] {
        let value = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        out.insert(format!("kernel.{name} = {}", value.trim_end()));
    }
}
