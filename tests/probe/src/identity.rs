//! Who the process is and what it may.

use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capability_is_in_ambient_set, capability_is_in_bounding_set};
use serde_json::{Map, Value, json};

/// Ids, groups, capability sets, no_new_privs, seccomp mode, umask.
pub(crate) fn identity() -> Value {
    let groups = rustix::process::getgroups().unwrap_or_default();
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(umask);
    let capabilities = rustix::thread::capabilities(None).ok();
    let hex = |set: Option<CapabilitySet>| set.map(|s| format!("{:016x}", s.bits()));
    json!({
        "pid": std::process::id(),
        "ppid": rustix::process::getppid().map_or(0, |p| p.as_raw_nonzero().get()),
        "sid": rustix::process::getsid(None).ok().map(|p| p.as_raw_nonzero().get()),
        "uid": crate::system::user_ids(),
        "gid": crate::system::group_ids(),
        "groups": groups.iter().map(|g| g.as_raw()).collect::<Vec<_>>(),
        "effective": hex(capabilities.map(|c| c.effective)),
        "permitted": hex(capabilities.map(|c| c.permitted)),
        "inheritable": hex(capabilities.map(|c| c.inheritable)),
        "bounding": format!("{:016x}", members(|c| capability_is_in_bounding_set(c).unwrap_or(false))),
        "ambient": format!("{:016x}", members(|c| capability_is_in_ambient_set(c).unwrap_or(false))),
        "no_new_privs": rustix::thread::no_new_privs().ok(),
        "seccomp": crate::system::seccomp_mode(),
        "umask": format!("{:03o}", umask.bits()),
    })
}

/// Bit mask of the capabilities that `holds` is true for; capabilities(7) has 41 of them.
fn members(holds: impl Fn(CapabilitySet) -> bool) -> u64 {
    (0..41).map(|bit| 1u64 << bit).filter(|bits| holds(CapabilitySet::from_bits_retain(*bits))).sum()
}

/// Soft and hard limits by their names of getrlimit(2); `null` is infinity.
pub(crate) fn rlimits() -> Value {
    let resources = [
        ("RLIMIT_AS", Resource::As),
        ("RLIMIT_CORE", Resource::Core),
        ("RLIMIT_CPU", Resource::Cpu),
        ("RLIMIT_DATA", Resource::Data),
        ("RLIMIT_FSIZE", Resource::Fsize),
        ("RLIMIT_LOCKS", Resource::Locks),
        ("RLIMIT_MEMLOCK", Resource::Memlock),
        ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
        ("RLIMIT_NICE", Resource::Nice),
        ("RLIMIT_NOFILE", Resource::Nofile),
        ("RLIMIT_NPROC", Resource::Nproc),
        ("RLIMIT_RSS", Resource::Rss),
        ("RLIMIT_RTPRIO", Resource::Rtprio),
        ("RLIMIT_RTTIME", Resource::Rttime),
        ("RLIMIT_SIGPENDING", Resource::Sigpending),
        ("RLIMIT_STACK", Resource::Stack),
    ];
    let value = |(name, resource): (&str, Resource)| {
        let limit = getrlimit(resource);
        (name.to_owned(), json!([limit.current, limit.maximum]))
    };
    Value::Object(resources.into_iter().map(value).collect::<Map<_, _>>())
}

/// Identities of the namespaces, where a /proc shows them.
pub(crate) fn namespaces() -> Value {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let link = |kind: &str| {
        Some((kind.to_owned(), json!(std::fs::read_link(format!("/proc/self/ns/{kind}")).ok()?)))
    };
    Value::Object(kinds.into_iter().filter_map(link).collect())
}
