//! A monitor's own log, read at its end: what it says there of the processors of its guest, in the words of Firecracker 1.16
//! (`vstate/vcpu.rs`, `arch/x86_64/vcpu.rs`) and Cloud Hypervisor 53 (`vmm/src/{cpu,lib}.rs`, `hypervisor/src/kvm/mod.rs`).

use super::lines::{Lines, Text, find};

/// Longest line that is looked at.
const LINE: usize = 240;

/// A processor took a triple fault (`KVM_EXIT_SHUTDOWN`).
const TRIPLE: [&[u8]; 2] = [b"Unexpected exit reason on vcpu run: Shutdown", b"Guest likely triple-faulted"];
/// A processor could not go on.
const BROKEN: [&[u8]; 7] = [
    b"KVM_EXIT_INTERNAL_ERROR",
    b"KVM_EXIT_FAIL_ENTRY",
    b"KVM failed to emulate",
    b"Failure during vcpu run",
    b"Unexpected exit reason on vcpu run",
    b"VCPU generated error",
    b"vCPU thread panicked",
];
/// The guest powered its machine off. Words of others stand in the middle of a line.
const OFF: &[u8] = b" -- VM guest exit event";

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log {
    lines: Lines<LINE>,
    last: Text<LINE>,
    pub(super) triple_fault: bool,
    pub(super) broken: bool,
    pub(super) power_off: bool,
}

impl Log {
    /// Takes a piece of it.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self { lines, last, triple_fault, broken, power_off } = self;
        lines.feed(bytes, |line, whole| {
            if line.is_empty() {
                return;
            }
            let has = |words: &[&[u8]]| words.iter().any(|words| find(line, words).is_some());
            if has(&TRIPLE) {
                *triple_fault = true;
            } else {
                *broken |= has(&BROKEN);
            }
            *power_off |= whole && line.ends_with(OFF);
            *last = Text::cut(line);
        });
    }

    /// The last line that is not empty.
    pub fn last(&self) -> &[u8] {
        self.last.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Log {
        let mut log = Log::default();
        text.as_bytes().chunks(5).for_each(|piece| log.feed(piece));
        log
    }

    #[test]
    fn processors_fail_in_known_words() {
        let firecracker = "2026-11-21T15:00:00.1 [a:fc_vcpu 0] ";
        for (said, triple_fault, broken) in [
            ("Unexpected exit reason on vcpu run: Shutdown", true, false),
            ("Unexpected exit reason on vcpu run: Hlt", false, true),
            ("Received KVM_EXIT_INTERNAL_ERROR signal", false, true),
            ("Received KVM_EXIT_FAIL_ENTRY signal: 1 on cpu 0", false, true),
            ("Failed to write to the tap", false, false),
        ] {
            let log = read(&format!("{firecracker}{said}\n"));
            assert_eq!((log.triple_fault, log.broken), (triple_fault, broken), "{said}");
        }
        let cloud_hypervisor = "cloud-hypervisor: 0.1s: <vcpu0> ERROR:hypervisor/src/kvm/mod.rs:2531 -- ";
        assert!(read(&format!("{cloud_hypervisor}Guest likely triple-faulted\n")).triple_fault);
        assert!(read(&format!("{cloud_hypervisor}VCPU generated error: VcpuRun(x)\n")).broken);
    }

    #[test]
    fn a_power_off_is_a_line_of_its_own() {
        let line = "cloud-hypervisor: 1.2s: <vmm> INFO:vmm/src/lib.rs:1 -- ";
        assert!(read(&format!("{line}VM guest exit event\n\n")).power_off);
        for other in ["VM exit event", "VM guest exit event\", more", "Booting VM"] {
            assert!(!read(&format!("{line}{other}\n")).power_off, "{other}");
        }
        let long = format!("{}{}", "x".repeat(LINE - OFF.len()), " -- VM guest exit event of another\n");
        assert!(!read(&long).power_off);
    }

    #[test]
    fn the_last_line_is_kept() {
        assert_eq!(read("").last(), b"");
        assert_eq!(read("first\n\nlast\r\n\nhalf").last(), b"last");
    }
}
