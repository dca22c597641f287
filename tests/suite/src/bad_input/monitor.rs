//! Monitors that cannot be taken, and monitors that end too early, too late or not at all.

use super::program::takes;
use super::{Entry, create_is_refused, is_taken, start_fails};
use crate::probe::{linux_on_probe, probe};
use crate::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) const CASES: &[Entry] = &[
    ("i-49-a-monitor-that-is-a-directory", |s| monitor(s, "/usr/bin", "/usr/bin")),
    ("i-49-a-monitor-that-is-empty", |s| changed_monitor(s, "monitors.qemu.path", Vec::clear)),
    ("i-49-a-monitor-without-its-loader", |s| {
        changed_monitor(s, "/lib64/ld-none-x86-64", |bytes| {
            let name = b"/lib64/ld-linux-x86-64";
            let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
            bytes[at..at + name.len()].copy_from_slice(b"/lib64/ld-none-x86-64\0");
        });
    }),
    ("i-49-a-monitor-without-its-library", |s| {
        changed_monitor(s, "libn.so.6", |bytes| {
            let at = bytes.windows(9).position(|window| window == b"libc.so.6").unwrap();
            bytes[at + 3] = b'n';
        });
    }),
    ("i-49-a-monitor-that-others-may-exchange", |s| {
        let path = s.dir.join("monitor");
        fs::copy("/bin/true", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        monitor(s, &path.display().to_string(), "monitors.qemu.path");
    }),
    ("i-49-a-monitor-with-a-device-that-the-host-may-lack", |s| {
        let bundle = linux_on_probe(s, &["probe=brief", "probe=qmp"]);
        let settings = format!("{}vhost = true\n", fs::read_to_string(&s.settings).unwrap());
        fs::write(&s.settings, settings).unwrap();
        if Path::new("/dev/vhost-net").exists() {
            is_taken(s, &bundle);
        } else {
            create_is_refused(s, &bundle, "monitors.qemu.vhost");
        }
    }),
    ("i-50-a-firecracker-that-ends-before-it-runs", |s| dies(s, "firecracker")),
    ("i-50-a-cloud-hypervisor-that-ends-before-it-runs", |s| dies(s, "cloud-hypervisor")),
    ("i-49-a-monitor-by-relative-path", |s| monitor(s, "bin/qemu", "monitors.qemu.path")),
    ("i-50-a-monitor-that-exits-with-127", |s| {
        start_with_probe(s, &["probe=brief", "probe=exit:127"]);
    }),
    ("i-50-a-monitor-that-hangs", |s| {
        let settings =
            |path: &str| format!("[runtime]\nstart_timeout = 1\n[monitors.qemu]\npath = \"{path}\"\n");
        let bundle = linux_on_probe(s, &["probe=quiet", "probe=sleep"]);
        fs::write(&s.settings, settings(&probe().display().to_string())).unwrap();
        let error = start_fails(s, &bundle);
        assert!(error.contains("within 1 s"), "{error}");
    }),
    ("i-50-a-monitor-that-prints-a-gibibyte", |s| {
        start_with_probe(s, &["probe=brief", "probe=print:1024", "probe=exit:1"]);
    }),
    ("i-50-a-monitor-that-exits-before-its-greeting", |s| {
        let error = start_with_probe(s, &["probe=brief", "probe=stderr:sentinel", "probe=exit:1"]);
        assert!(error.contains("sentinel"), "the monitor's last line is missing: {error}");
    }),
    ("i-50-a-monitor-that-exits-with-0-before-its-greeting", |s| {
        start_with_probe(s, &["probe=brief", "probe=exit:0"]);
    }),
    ("i-50-a-monitor-that-dies-of-a-signal", |s| {
        start_with_probe(s, &["probe=brief", "probe=signal:11"]);
    }),
    ("i-48-a-monitor-in-a-user-s-home", |s| {
        let home = s.dir.join("home");
        fs::create_dir(&home).unwrap();
        fs::copy("/bin/true", home.join("qemu")).unwrap();
        std::os::unix::fs::chown(&home, Some(1000), None).unwrap();
        monitor(s, &home.join("qemu").display().to_string(), "1000");
    }),
];

/// A copy of a dynamic program that is changed, as monitor.
fn changed_monitor(s: &Sandbox, word: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = s.dir.join("monitor");
    let mut bytes = fs::read("/bin/true").unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    monitor(s, &path.display().to_string(), word);
}

fn monitor(s: &Sandbox, path: &str, word: &str) {
    fs::write(&s.settings, format!("[monitors.qemu]\npath = \"{path}\"\n")).unwrap();
    create_is_refused(s, &s.bundle("b").linux(), word);
}

/// Starts a Linux bundle whose monitor is the probe with these words; returns the error.
fn start_with_probe(s: &Sandbox, words: &[&str]) -> String {
    start_fails(s, &linux_on_probe(s, words))
}

/// The probe under its own name takes no configuration, and ends at once.
fn dies(s: &Sandbox, name: &str) {
    fs::write(&s.settings, format!("[monitors.{name}]\npath = \"{}\"\n", probe().display())).unwrap();
    let error = start_fails(s, &takes(s, name));
    assert!(error.contains(name), "{error}");
}
