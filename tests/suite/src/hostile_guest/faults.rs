//! The guest `faults`: one life for each thing it can do.

use super::case;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::collections::BTreeSet;

const ILL: i32 = 128 + libc::SIGILL;
const TRAP: i32 = 128 + libc::SIGTRAP;
const BUS: i32 = 128 + libc::SIGBUS;
const FPE: i32 = 128 + libc::SIGFPE;
const SEGV: i32 = 128 + libc::SIGSEGV;
const SYS: i32 = 128 + libc::SIGSYS;

/// What the guest may do, and the codes it may end with, by processor and kernel. All others are wrong.
#[rustfmt::skip]
const FAULTS: &[(&[i32], &[&str])] = &[
    (&[SEGV], &[
        "read-0", "read-below-the-first-page", "read-the-end", "read-across-the-end", "read-the-runtime",
        "read-not-canonical", "read-the-direct-map", "read-the-kernel", "read-the-last-byte",
        "write-0", "write-the-end", "write-across-the-end", "write-text", "write-the-tenders-code",
        "write-the-kernel", "write-vsyscall",
        "jump-0", "jump-data", "jump-boot-information", "jump-the-end", "jump-not-canonical", "jump-the-kernel",
        "jump-vsyscall-middle", "stack-overflow", "stack-at-0", "stack-at-the-kernel",
        "hlt", "cli", "sti", "clts", "in", "out", "ins", "read-cr0", "write-cr0", "write-cr3", "write-cr4", "write-cr8",
        "read-dr7", "write-dr7", "rdmsr", "wrmsr", "lgdt", "lidt", "lldt", "ltr", "invlpg", "wbinvd",
        "swapgs", "sysret", "sysexit", "xsetbv", "iret-to-ring-0", "far-return-to-ring-0", "stack-segment-0",
        "data-segment-of-ring-0", "int-81", "int-0e", "misaligned-sse", "reserved-mxcsr", "xrstor-garbage",
    ]),
    // A kernel may emulate the page, or have none.
    (&[SEGV, 0], &["read-vsyscall"]),
    (&[SYS, SEGV], &["jump-vsyscall-gettimeofday", "jump-vsyscall-time", "jump-vsyscall-getcpu"]),
    // Entries that a kernel may be without.
    (&[SYS, SEGV], &["int-80", "int-80-in-32-bit-code"]),
    (&[SYS, SEGV, ILL], &["sysenter", "sysenter-in-32-bit-code", "syscall-in-32-bit-code"]),
    // The first call of the tender's last page is munmap or seccomp: neither is among the nine.
    (&[SYS], &["jump-the-tenders-seccomp", "single-step-into-a-call"]),
    (&[ILL], &["ud2"]),
    (&[TRAP], &["int3", "int1", "single-step"]),
    (&[FPE], &["divide-by-0", "divide-overflow", "unmasked-sse-exception", "unmasked-x87-exception"]),
    (&[BUS], &["misaligned-with-alignment-check"]),
    // What the processor has, or a hypervisor below answers.
    (&[SEGV, ILL], &["mwait", "enclu", "vmxoff", "vmrun"]),
    (&[0, SEGV, ILL], &[
        "vmcall", "vmmcall", "rdpmc", "wrpkru", "wrfsbase", "wrfsbase-not-canonical", "wrgsbase", "amx", "amx-data",
        "avx-512", "cpuid", "rdtsc", "umwait", "senduipi", "sgdt", "smsw",
    ]),
    (&[0, BUS], &["split-lock"]),
    (&[0], &["nothing", "data-segment-0", "flags-into-a-call", "nested-task-into-a-call"]),
];

pub(super) fn cases() -> Vec<Case> {
    vec![case("every-fault-ends-with-a-documented-code".to_owned(), all)]
}

fn all(s: &Sandbox) {
    let bundle = s.bundle("b").spt("faults");
    let c = s.container("a", &bundle);
    // One life; the exit code and what the guest printed.
    let life = |name: &str| {
        let _ = bundle.clone().with("/process/args", json!([name]));
        let outcome = c.on_bundle("run", &[]);
        (outcome.code, outcome.stdout)
    };
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for (codes, names) in FAULTS {
        for name in *names {
            assert!(known.insert((*name).to_owned()), "{name} twice");
            let (code, printed) = life(name);
            if !codes.contains(&code) || !printed.is_empty() {
                wrong.push(format!("{name}: {code} instead of {codes:?}: {printed}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (code, printed) = life("names");
    let all: BTreeSet<String> = printed.lines().map(str::to_owned).collect();
    assert_eq!((code, all), (0, known), "the guest knows others");
}
