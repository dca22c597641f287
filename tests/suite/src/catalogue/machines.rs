//! F: monitors of virtual machines, and the processor that their guests see.

use super::descriptors::report;
use super::kinds::on;
use super::{Entry, monitor_for_all, nothing_left};
use crate::bad_input::refused;
use crate::command::until_patiently;
use crate::harness::Case;
use crate::image::KERNEL;
use crate::probe::played;
use crate::sandbox::{Sandbox, text};
use crate::{command, net_linux};
use serde_json::json;
use std::fs;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("f-01-firecracker-has-the-planned-options-only", planned_options),
    ("f-01-bad-releases-of-firecracker-are-named", |s| {
        let releases = [("1.12.1", false), ("1.14.3", true), ("1.14.4", false), ("1.15.0", true)];
        bad_releases(s, "firecracker", "CVE-2026-5747", &releases);
    }),
    ("f-02-bad-releases-of-cloud-hypervisor-are-named", |s| {
        let releases = [("51.1.0", true), ("51.2.0", false), ("52.0.0", false)];
        bad_releases(s, "cloud-hypervisor", "CVE-2026-45782", &releases);
    }),
    ("f-02-kernels-that-send-a-loader-in-circles", circles),
    ("f-05-the-processor-of-a-linux-guest", processor),
];

/// Every option of ours, and none that switches its filters off or its PCI devices on.
fn planned_options(s: &Sandbox) {
    monitor_for_all(s);
    let c = s.container("a", &on(s.bundle("b"), "firecracker"));
    c.create().ok();
    let output = s.last_output();
    c.start().ok();
    let report = report(&output);
    let words = report["argv"].as_array().expect("argv").iter().skip(1).step_by(2);
    let mut options: Vec<&str> = words.filter_map(|word| word.as_str()).collect();
    options.sort_unstable();
    assert_eq!(options, ["--api-sock", "--config-file", "--id", "--level", "--log-path"], "{report}");
    c.delete_force().ok();
    nothing_left(s);
}

/// `doctor --security` asks the programs that are configured for their version.
fn bad_releases(s: &Sandbox, monitor: &str, hole: &str, releases: &[(&str, bool)]) {
    let path = played(s, monitor);
    fs::write(&s.settings, format!("[monitors.{monitor}]\npath = \"{}\"\n", path.display()))
        .expect("settings");
    for (release, bad) in releases {
        let (mut doctor, output) = s.command(["doctor", "--security"]);
        let said = command::run(doctor.env("PROBE_VERSION", format!("{monitor} v{release}")), &output).stdout;
        assert!(said.contains(&format!("{monitor}: {release}")), "{said}");
        assert_eq!(said.contains(hole), *bad, "{release}: {said}");
    }
}

/// 65 535 program headers, headers that contain themselves, and sizes without end: refused before a monitor sees them.
fn circles(s: &Sandbox) {
    // Of the file header: where program headers begin, and how many there are (gABI, "ELF Header").
    const PLACE: usize = 32;
    const COUNT: usize = 56;
    monitor_for_all(s);
    for name in super::kinds::PROGRAMS {
        let bundle = on(s.bundle(name), name);
        let good = fs::read(bundle.rootfs().join(KERNEL)).expect("kernel");
        let changes: [&[(usize, &[u8])]; 4] = [
            &[(COUNT, &[0xff; 2])],
            &[(PLACE, &[0; 8]), (COUNT, &[0xff; 2])],
            // The first program header's offset and size in the file.
            &[(64 + 8, &64u64.to_le_bytes()), (64 + 32, &[0xff; 8])],
            &[
                (64, &4u32.to_le_bytes()),
                (64 + 8, &64u64.to_le_bytes()),
                (64 + 32, &[0xff, 0xff, 0xff, 0x7f]),
            ],
        ];
        for change in changes {
            let mut kernel = good.clone();
            for (at, bytes) in change {
                kernel[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            fs::write(bundle.rootfs().join(KERNEL), kernel).expect("kernel");
            let c = s.container("a", &bundle);
            refused(s, &c.create(), "program header");
        }
    }
    nothing_left(s);
}

/// With KVM neither VMX nor SVM, which the host's processor may have: no guest makes machines of its own. TCG's processor
/// has no VMX either; its SVM is emulated as all the rest.
fn processor(s: &Sandbox) {
    let script = "mount -t proc proc /proc; cat /proc/cpuinfo; poweroff -f";
    let bundle =
        net_linux::serving(s.bundle("b")).with("/process/args", json!(["/bin/busybox", "sh", "-c", script]));
    let c = s.container("a", &bundle);
    c.create().ok();
    let output = s.last_output().with_extension("out");
    c.start().ok();
    let accelerated = c.state()["annotations"]["com.urunc.state.acceleration"] == "kvm";
    until_patiently("linux ends", || c.status() == "stopped");
    let said = text(&output);
    let flags = said.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_else(|| panic!("{said}"));
    let has = |flag: &str| flags.split_whitespace().any(|seen| seen == flag);
    assert!(has("fpu") && !has("vmx") && !(accelerated && has("svm")), "{flags}");
    c.delete().ok();
    nothing_left(s);
}
