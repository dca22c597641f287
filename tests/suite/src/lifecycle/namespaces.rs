//! Namespaces: new ones, joined ones, inherited ones, wrong ones.

use super::Entry;
use crate::container::namespace;
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// config.json's word and the name below `/proc/PID/ns`.
const KINDS: [(&str, &str); 5] =
    [("pid", "pid"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("mount", "mnt")];

pub(super) const CASES: &[Entry] = &[
    ("a-namespace-without-path-is-new", |s| {
        let c = s.container("a", &s.bundle("b").namespace("cgroup", None));
        c.create().ok();
        for (kind, link) in KINDS.into_iter().chain([("cgroup", "cgroup")]) {
            let inside = c.namespace(link);
            assert!(!inside.is_empty() && inside != namespace("self", link), "{kind}: {inside}");
        }
    }),
    ("a-namespace-that-is-not-listed-is-inherited", |s| {
        let mut bundle = s.bundle("b").with("/hostname", json!(""));
        for kind in ["network", "ipc", "uts"] {
            bundle = bundle.without_namespace(kind);
        }
        let c = s.container("a", &bundle);
        c.create().ok();
        for link in ["net", "ipc", "uts"] {
            assert_eq!(c.namespace(link), namespace("self", link));
        }
    }),
    ("a-namespace-with-path-is-joined", joined),
    ("root-propagation-is-the-container-s-only", |s| {
        // The third optional field of proc_pid_mountinfo(5); a shared mount that reached the host would stay there.
        for (word, field) in
            [("rprivate", ""), ("rslave", ""), ("rshared", "shared:"), ("unbindable", "unbindable")]
        {
            let c = s.container(word, &s.bundle(word).with("/linux/rootfsPropagation", json!(word)));
            c.create().ok();
            let mounts = text(&std::path::PathBuf::from(format!("/proc/{}/mountinfo", c.pid())));
            let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
            let options = root.split(" - ").next().unwrap().split(' ').skip(6).collect::<Vec<_>>().join(" ");
            assert!(options.contains(field), "{word}: {root}");
            assert!(!field.is_empty() || !options.contains("shared"), "{word}: {root}");
        }
    }),
    ("the-host-network-by-path-is-the-host-network", |s| {
        let path = format!("/proc/{}/ns/net", std::process::id());
        let c = s.container("a", &s.bundle("b").namespace("network", Some(&path)));
        c.create().ok();
        assert_eq!(c.namespace("net"), namespace("self", "net"));
    }),
    ("a-namespace-path-of-the-wrong-kind-is-refused", |s| refused(s, "network", "/proc/self/ns/ipc")),
    ("a-namespace-path-that-is-missing-is-refused", |s| refused(s, "network", "/run/netns/suite-missing")),
    ("a-namespace-path-that-is-no-namespace-is-refused", |s| refused(s, "ipc", "/etc/hostname")),
    ("a-namespace-listed-twice-is-refused", |s| {
        let mut bundle = s.bundle("b");
        bundle.config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "uts"}));
        bundle.write();
        s.container("a", &bundle).create().fails();
    }),
    ("hostname-and-sysctl-are-set-inside-only", |s| {
        let before = text(std::path::Path::new("/proc/sys/net/ipv4/ip_default_ttl"));
        let bundle = s.bundle("b").with("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "77"}));
        let c = s
            .container("a", &bundle.script("hostname > /name; cat /proc/sys/net/ipv4/ip_default_ttl > /ttl"));
        for applet in ["cat", "hostname"] {
            std::os::unix::fs::symlink("busybox", c.bundle.join("rootfs/bin").join(applet)).unwrap();
        }
        c.launch();
        c.until_stopped();
        assert_eq!(text(&c.bundle.join("rootfs/name")), "guest\n");
        assert_eq!(text(&c.bundle.join("rootfs/ttl")), "77\n");
        assert_eq!(text(std::path::Path::new("/proc/sys/net/ipv4/ip_default_ttl")), before);
    }),
    ("a-sysctl-of-the-host-is-refused", |s| {
        let c = s.container(
            "a",
            &s.bundle("b").with("/linux/sysctl", json!({"kernel.core_pattern": "|/bin/false"})),
        );
        c.create().fails();
    }),
];

/// A process in new namespaces; ends when dropped.
pub(crate) struct Holder(Child);

impl Holder {
    /// `options`: unshare(1)'s.
    pub(crate) fn of(options: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(options).args(["sleep", "1000"]).stdin(Stdio::null()).stdout(Stdio::null());
        let holder = Self(command.spawn().unwrap());
        crate::command::until("the holder has its namespaces", || {
            text(&std::path::Path::new("/proc").join(holder.0.id().to_string()).join("comm")) == "sleep\n"
        });
        holder
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn joined(s: &Sandbox) {
    // The ledger starts with the first command: make it look before the holder exists.
    s.run(["list", "-q"]).ok();
    let holder = Holder::of(&["-n", "-i", "-u"]);
    let pid = holder.pid();
    let mut bundle = s.bundle("b").with("/hostname", json!(""));
    for (kind, link) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        bundle = bundle.namespace(kind, Some(&format!("/proc/{pid}/ns/{link}")));
    }
    let c = s.container("a", &bundle);
    c.launch();
    for link in ["net", "ipc", "uts"] {
        assert_eq!(c.namespace(link), namespace(&pid, link));
    }
    for link in ["pid", "mnt"] {
        assert_ne!(c.namespace(link), namespace(&pid, link));
    }
}

fn refused(s: &Sandbox, kind: &str, path: &str) {
    let c = s.container("a", &s.bundle("b").namespace(kind, Some(path)));
    c.create().fails();
    c.verb("state").fails();
}
