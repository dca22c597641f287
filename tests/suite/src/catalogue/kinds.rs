//! A bundle for each kind of monitor, and the monitors. Those that no registry has are played by the probe.

use crate::bundle::Bundle;
use crate::image::{LINUX, built, replaced};
use crate::probe::{monitor_path, played};
use crate::sandbox::Sandbox;
use std::fmt::Write;

/// How a bundle becomes one of each monitor's.
pub(super) type Kind = (&'static str, fn(Bundle) -> Bundle);

pub(super) const KINDS: [Kind; 6] = [
    ("spt", |b| b.spt("idle")),
    ("hvt", |b| b.hvt("idle")),
    ("qemu", Bundle::linux),
    ("firecracker", |b| on(b, "firecracker")),
    ("cloud-hypervisor", |b| on(b, "cloud-hypervisor")),
    ("process", |b| b),
];

/// Those that are programs of their own.
pub(super) const PROGRAMS: [&str; 3] = ["qemu", "firecracker", "cloud-hypervisor"];

/// Our own guest of virtual machines on this monitor.
pub(super) fn on(bundle: Bundle, monitor: &str) -> Bundle {
    let kernel = std::fs::read(built("virtio.elf")).expect("guest");
    bundle.unikernel(&kernel, &replaced(&LINUX, "hypervisor", monitor))
}

/// The probe plays the programs for every bundle of the case.
pub(super) fn monitor_for_all(s: &Sandbox) {
    play(s, &PROGRAMS);
}

/// [`monitor_for_all`], and Solo5's own tenders take the place of the built-in ones.
pub(super) fn programs_for_all(s: &Sandbox) {
    play(s, &[&PROGRAMS[..], &["spt", "hvt"]].concat());
}

fn play(s: &Sandbox, names: &[&str]) {
    let mut settings = "[runtime]\ndelegate = \"process\"\n".to_owned();
    for name in names {
        let path = match *name {
            "qemu" => monitor_path(),
            "spt" | "hvt" => played(s, &format!("solo5-{name}")),
            name => played(s, name),
        };
        let _ = writeln!(settings, "[monitors.{name}]\npath = \"{}\"", path.display());
    }
    std::fs::write(&s.settings, settings).expect("settings");
}
