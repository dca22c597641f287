//! The jails to get out of.

use super::host::Host;
use super::reported;
use crate::bundle::Bundle;
use crate::command::inheritable;
use crate::container::Container;
use crate::probe::{linux_on_probe, probe};
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A jail, and who is in it.
pub(super) struct Jail {
    /// Name of the case.
    pub(super) name: &'static str,
    /// User and group.
    pub(super) uid: u32,
    /// The filters of an ordinary start are installed.
    pub(super) filters: bool,
    /// What else is open, and why nothing of others is reached by it.
    pub(super) open: &'static [(&'static str, &'static str)],
    /// Each try has a line of its own in the output.
    pub(super) told: bool,
    bundle: fn(&Sandbox, &str) -> Bundle,
}

const USER: u32 = 54_321;

/// An ordinary program is in no chroot: profiles of AppArmor name its files from the root of the namespace.
const PROGRAM: &[(&str, &str)] = &[
    ("clone-into-new-users", "as of any container whose profile does not forbid it"),
    ("clone3-into-new-users", "as of any container whose profile does not forbid it"),
    ("unshare-users", "as of any container whose profile does not forbid it"),
    ("overwrite-the-monitor", "a file of its own image, which is its own to write"),
    ("replace-the-monitor", "a file of its own image, which is its own to write"),
];

/// Every jail of an external monitor. The `process` monitor has no list of its own, and here no profile.
pub(super) const JAILS: &[Jail] = &[
    Jail { name: "root-without-filters", uid: 0, filters: false, open: &[], told: true, bundle: monitor },
    Jail {
        name: "a-user-without-filters",
        uid: USER,
        filters: false,
        open: &[],
        told: false,
        bundle: monitor,
    },
    Jail { name: "root-with-filters", uid: 0, filters: true, open: &[], told: false, bundle: monitor },
    Jail { name: "a-user-with-filters", uid: USER, filters: true, open: &[], told: false, bundle: monitor },
    Jail {
        name: "root-in-shared-namespaces",
        uid: 0,
        filters: false,
        open: &[],
        told: false,
        bundle: sharing,
    },
    Jail {
        name: "root-in-the-image-s-tree",
        uid: 0,
        filters: false,
        open: PROGRAM,
        told: false,
        bundle: program,
    },
    Jail {
        name: "a-user-in-the-image-s-tree",
        uid: USER,
        filters: false,
        open: PROGRAM,
        told: false,
        bundle: program,
    },
];

/// The probe in the place of QEMU: a root that holds nothing but itself.
fn monitor(s: &Sandbox, word: &str) -> Bundle {
    linux_on_probe(s, &["probe=quiet", word, "probe=qmp"])
}

/// As [`monitor`], where the engine gives the host's namespaces but the network, which guests get no tap from.
fn sharing(s: &Sandbox, word: &str) -> Bundle {
    let bundle = monitor(s, word).with("/hostname", json!(""));
    ["pid", "ipc", "uts"].into_iter().fold(bundle, Bundle::without_namespace)
}

/// The probe as an ordinary program, with what engines mount.
fn program(s: &Sandbox, word: &str) -> Bundle {
    let bundle = s.bundle("b").with("/process/args", json!(["/probe", "probe=quiet", word, "probe=sleep"]));
    let mut mounts = bundle.config["mounts"].clone();
    let more = [("/sys", "sysfs"), ("/dev/shm", "tmpfs"), ("/dev/mqueue", "mqueue")];
    let more = more.map(|(path, kind)| json!({"destination": path, "type": kind, "source": kind}));
    mounts.as_array_mut().expect("mounts").extend(more);
    std::fs::copy(probe(), bundle.rootfs().join("probe")).expect("probe");
    bundle.with("/mounts", mounts)
}

/// Runs the tries in the jail; gives what the probe printed.
pub(super) fn enter(s: &Sandbox, jail: &Jail, host: &Host<'_>) -> String {
    let canary = s.dir.join("canary/file").display().to_string();
    let user = json!({"uid": jail.uid, "gid": jail.uid});
    let bundle = (jail.bundle)(s, &host.word(&canary)).with("/process/user", user);
    let limits = json!({"pids": {"limit": 64}, "memory": {"limit": 320 << 20}});
    let c = s.container("a", &bundle.with("/linux/resources", limits));
    let forgotten = ["/", "/dev/ptmx"].map(inheritable);
    c.create().ok();
    drop(forgotten);
    let output = s.last_output().with_extension("out");
    if jail.filters {
        c.start().ok();
        assert_ne!(c.status_field("Seccomp_filters"), "0");
    } else {
        start_without_filters(&c);
        assert_eq!(c.status_field("Seccomp_filters"), "0");
    }
    let printed = reported(&output);
    c.delete_force().ok();
    printed
}

/// Does what `start` does, but says to init that there is no filter to install.
fn start_without_filters(c: &Container<'_>) {
    let dir = c.sandbox.root().join(&c.id);
    let mut plan: Value = serde_json::from_str(&text(&dir.join("plan.json"))).expect("plan.json");
    plan["seccomp"] = json!([]);
    let order = json!({"Start": {"plan": plan, "state": "{}", "patience": 60}}).to_string();
    let mut socket = UnixStream::connect(dir.join("init.sock")).expect("init listens");
    // A frame: its kind, its length, and what it says.
    socket.write_all(&[0]).expect("init reads");
    socket.write_all(&u32::try_from(order.len()).expect("short").to_le_bytes()).expect("init reads");
    socket.write_all(order.as_bytes()).expect("init reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("init answers");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("Ready"), "{answer}");
}
