//! The stacked filters of external monitors on every number of every way into the kernel: exactly the names of the lists.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use urunc_plan::bpf::{SeccompData, ret, run};
use urunc_plan::launch::Filter;
use urunc_plan::monitor::{self, Monitor};
use urunc_plan::seccomp::compile;
use urunc_plan::syscalls::{Abi, X32_BIT};

const NUMBERS: u32 = 1024;
/// What no monitor has a use for while its guest runs: further processes, sockets, namespaces, kernel interfaces.
const NEVER: [&str; 26] = [
    "add_key",
    "bpf",
    "chroot",
    "connect",
    "delete_module",
    "execveat",
    "fork",
    "fsopen",
    "init_module",
    "io_uring_enter",
    "kexec_load",
    "keyctl",
    "kill",
    "mount",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_open",
    "pivot_root",
    "process_vm_writev",
    "ptrace",
    "setns",
    "socket",
    "unshare",
    "userfaultfd",
];

/// The names that all lists of a monitor together let through.
fn names(monitor: &dyn Monitor) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for filter in monitor.filters() {
        match filter {
            Filter::Allow(names) => allowed.extend(names),
            Filter::Deny(_) => {}
            Filter::Profile(_) | Filter::Tender => panic!("{}", monitor.name()),
        }
    }
    for filter in monitor.filters() {
        if let Filter::Deny(names) = filter {
            allowed.retain(|name| !names.contains(name));
        }
    }
    allowed
}

/// What others do beyond that. Firecracker and Cloud Hypervisor make their API's socket, and one of them signals its
/// threads; Solo5's tenders ask for their interface by a socket.
const THEIRS: [(&str, &[&str]); 4] = [
    ("firecracker", &["socket"]),
    ("cloud-hypervisor", &["kill", "socket"]),
    ("spt", &["socket"]),
    ("hvt", &["socket"]),
];

#[test]
fn an_exec_ed_monitor_may_call_what_its_list_names_and_nothing_else() {
    let external = ["spt", "hvt"].map(|name| monitor::find(name).unwrap().external().unwrap());
    let programs = monitor::ALL.iter().copied().filter(|monitor| monitor.program("x86_64").is_some());
    for monitor in programs.chain(external) {
        only_its_list(monitor);
    }
}

fn only_its_list(monitor: &dyn Monitor) {
    let names = names(monitor);
    for (machine, abi) in [("x86_64", Abi::X86_64), ("aarch64", Abi::Aarch64)] {
        let compiled = |filter| compile(filter, machine).unwrap();
        let programs: Vec<_> = monitor.filters().iter().map(compiled).collect();
        // The kernel takes the most severe answer of all filters.
        let allows = |nr, arch| {
            let data = SeccompData { nr, arch, ..SeccompData::default() };
            programs.iter().all(|program| run(program, &data) == ret::ALLOW)
        };
        let mut allowed = 0;
        for number in 0..NUMBERS {
            let expected = abi.name(number).is_some_and(|name| names.contains(name));
            assert_eq!(
                allows(number, abi.audit_arch()),
                expected,
                "{machine} {number} {:?}",
                abi.name(number)
            );
            allowed += usize::from(expected);
            for bit in 10..32 {
                assert!(!allows(number | 1 << bit, abi.audit_arch()), "{machine} {number} with bit {bit}");
            }
            for foreign in [Abi::X86, Abi::X86_64, Abi::Aarch64, Abi::Arm].into_iter().filter(|a| *a != abi) {
                for number in [number, number | X32_BIT] {
                    assert!(!allows(number, foreign.audit_arch()), "{number} of {foreign:?}");
                }
            }
        }
        // Cloud Hypervisor's own filters, of all its threads, allow more.
        let most = if monitor.name() == "cloud-hypervisor" { 110 } else { 80 };
        assert!((35..=most).contains(&allowed), "{}: {allowed}", monitor.name());
        assert!(!allows(u32::MAX, abi.audit_arch()));
    }
    let theirs = THEIRS.iter().find(|(name, _)| *name == monitor.name()).map_or(&[][..], |(_, names)| names);
    for name in NEVER.iter().filter(|name| !theirs.contains(name)) {
        assert!(Abi::X86_64.number(name).is_some() && !names.contains(*name), "{}: {name}", monitor.name());
    }
}
