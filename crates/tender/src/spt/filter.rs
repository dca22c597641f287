//! The guest's whole view of the kernel: nine system calls (eight on aarch64), every descriptor pinned.
//!
//! The list is that of Solo5's `spt` tender, with one pin more: `epoll_pwait` takes no signal mask, or a guest could
//! block the stop signal. Everything else kills the process.

use urunc_plan::bpf::{Cond, Insn, Op};
use urunc_plan::seccomp::pinned;
use urunc_plan::syscalls::Abi;

use crate::boot::{Attached, Kind};

/// The guest's own.
#[cfg(target_arch = "x86_64")]
pub(crate) const ABI: Abi = Abi::X86_64;
/// The guest's own.
#[cfg(target_arch = "aarch64")]
pub(crate) const ABI: Abi = Abi::Aarch64;
/// `ARCH_SET_FS` of arch_prctl(2).
const ARCH_SET_FS: u64 = 0x1002;

/// The program for these descriptors, to be installed as it is.
pub(crate) fn program(abi: Abi, epoll_fd: i32, timer_fd: i32, devices: &[Attached]) -> Vec<Insn> {
    let mut rules = Vec::new();
    // Only x86_64 has arch_prctl: elsewhere a guest may set its thread pointer without the kernel.
    let mut allow = |name, conds| rules.extend(abi.number(name).map(|number| (number, conds)));
    allow("epoll_pwait", vec![is_fd(epoll_fd), is(4, 0)]);
    allow("timerfd_settime", vec![is_fd(timer_fd)]);
    allow("clock_gettime", vec![is(0, 0)]);
    allow("clock_gettime", vec![is(0, 1)]);
    allow("write", vec![is_fd(1)]);
    for device in devices {
        let fd = is_fd(device.fd);
        match device.kind {
            Kind::Net { .. } => {
                allow("read", vec![fd]);
                allow("write", vec![fd]);
            }
            Kind::Block { capacity, sector_size } => {
                // One sector, at an offset that leaves room for it.
                let size = u64::from(sector_size);
                let last = Cond { arg: 3, op: Op::Le, value: capacity.saturating_sub(size) };
                allow("pread64", vec![fd, is(2, size), last]);
                allow("pwrite64", vec![fd, is(2, size), last]);
            }
        }
    }
    allow("arch_prctl", vec![is(0, ARCH_SET_FS)]);
    allow("exit_group", vec![]);
    pinned(abi, &rules)
}

fn is(arg: u8, value: u64) -> Cond {
    Cond { arg, op: Op::Eq, value }
}

fn is_fd(fd: i32) -> Cond {
    is(0, u64::from(fd.unsigned_abs()))
}

/// `struct sock_fprog` and its instructions as bytes, to be placed at `address`.
pub(crate) fn encode(program: &[Insn], address: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 8 * program.len());
    out.extend_from_slice(&u64::from(u16::try_from(program.len()).unwrap_or(u16::MAX)).to_ne_bytes());
    out.extend_from_slice(&(address + 16).to_ne_bytes());
    for insn in program {
        out.extend_from_slice(&insn.code.to_ne_bytes());
        out.extend_from_slice(&[insn.jt, insn.jf]);
        out.extend_from_slice(&insn.k.to_ne_bytes());
    }
    out
}

#[cfg(test)]
mod tests;
