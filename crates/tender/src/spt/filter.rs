//! The guest's whole view of the kernel: nine system calls (eight on aarch64), every descriptor pinned.
//!
//! The list is that of Solo5's `spt` tender, with one pin more: `epoll_pwait` takes no signal mask, or a guest could
//! block the stop signal.

use urunc_plan::bpf::Insn;
use urunc_plan::syscalls::Abi;

use crate::boot::Attached;
use crate::filter::{Rules, is, is_fd};

/// `ARCH_SET_FS` of arch_prctl(2).
const ARCH_SET_FS: u64 = 0x1002;

/// The program for these descriptors, to be installed as it is.
pub(crate) fn program(abi: Abi, epoll_fd: i32, timer_fd: i32, devices: &[Attached]) -> Vec<Insn> {
    let mut rules = Rules::new(abi);
    // Only x86_64 has arch_prctl: elsewhere a guest may set its thread pointer without the kernel.
    rules.allow("arch_prctl", vec![is(0, ARCH_SET_FS)]);
    rules.allow("epoll_pwait", vec![is_fd(epoll_fd), is(4, 0)]);
    rules.allow("timerfd_settime", vec![is_fd(timer_fd)]);
    rules.allow("clock_gettime", vec![is(0, 0)]);
    rules.allow("clock_gettime", vec![is(0, 1)]);
    rules.allow("write", vec![is_fd(1)]);
    rules.allow_devices(devices);
    rules.allow("exit_group", vec![]);
    rules.program()
}
