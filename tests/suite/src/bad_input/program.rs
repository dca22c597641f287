//! Each external monitor's program, in each state in which it cannot be taken.

use super::{create_is_refused, start_fails};
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::image::{LINUX, elf64, replaced};
use crate::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const MONITORS: [&str; 5] = ["qemu", "firecracker", "cloud-hypervisor", "spt", "hvt"];

/// What is wrong with a file that is there: permission bits, and what becomes of a program's bytes.
type State = (&'static str, u32, fn(&mut Vec<u8>));

const STATES: [State; 4] = [
    ("not-executable", 0o644, |_| ()),
    ("a-script", 0o755, |bytes| *bytes = b"#!/bin/sh\n".to_vec()),
    ("cut", 0o755, |bytes| bytes.truncate(100)),
    ("of-another-machine", 0o755, |bytes| bytes[18..20].copy_from_slice(&183u16.to_le_bytes())),
];

/// The cases: `create` refuses what cannot be executed; what does not know its options says so after `start`.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for monitor in MONITORS {
        cases.push(Case::new("bad-image", format!("i-49-{monitor}-that-is-missing"), move |s| {
            is_refused(s, monitor, &s.dir.join("program"));
        }));
        for (state, mode, change) in STATES {
            cases.push(Case::new("bad-image", format!("i-49-{monitor}-that-is-{state}"), move |s| {
                let path = s.dir.join("program");
                let mut bytes = fs::read("/bin/true").unwrap();
                change(&mut bytes);
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                is_refused(s, monitor, &path);
            }));
        }
    }
    // Tenders of Solo5 are running when they are executed: how they end is their guest's status.
    for &monitor in &MONITORS[..3] {
        cases.push(Case::new("bad-image", format!("i-50-{monitor}-that-is-too-old"), move |s| {
            // It knows none of the options, and says so as programs do, with a hint behind it.
            is(s, monitor, Path::new("/usr/bin/env"));
            let error = start_fails(s, &takes(s, monitor));
            assert!(error.contains("monitor said: ") && error.contains(" option "), "{error}");
        }));
    }
    cases
}

fn is_refused(s: &Sandbox, monitor: &str, program: &Path) {
    is(s, monitor, program);
    create_is_refused(s, &takes(s, monitor), &format!("monitors.{monitor}.path"));
}

fn is(s: &Sandbox, monitor: &str, program: &Path) {
    fs::write(&s.settings, format!("[monitors.{monitor}]\npath = \"{}\"\n", program.display())).unwrap();
}

/// An image that this monitor takes.
pub(super) fn takes(s: &Sandbox, monitor: &str) -> Bundle {
    match monitor {
        "qemu" => s.bundle("b").linux(),
        "spt" => s.bundle("b").spt("hello"),
        "hvt" => s.bundle("b").hvt("hello"),
        _ => s.bundle("b").unikernel(&elf64(true, false), &replaced(&LINUX, "hypervisor", monitor)),
    }
}
