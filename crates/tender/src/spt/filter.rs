//! The guest's whole view of the kernel: nine system calls (eight on aarch64), every descriptor pinned.
//!
//! The list is that of Solo5's `spt` tender, with one pin more: `epoll_pwait` takes no signal mask, or a guest could
//! block the stop signal. Everything else kills the process.

use urunc_plan::bpf::{Cond, Insn, Op};
use urunc_plan::seccomp::pinned;
use urunc_plan::syscalls::Abi;

use crate::boot::{Attached, Kind};

#[cfg(target_arch = "x86_64")]
const ABI: Abi = Abi::X86_64;
#[cfg(target_arch = "aarch64")]
const ABI: Abi = Abi::Aarch64;
/// `ARCH_SET_FS` of arch_prctl(2).
#[cfg(target_arch = "x86_64")]
const ARCH_SET_FS: u64 = 0x1002;

/// The program for these descriptors, to be installed as it is.
pub(crate) fn program(epoll_fd: i32, timer_fd: i32, devices: &[Attached]) -> Vec<Insn> {
    let mut rules = Vec::new();
    let mut allow = |number: libc::c_long, conds: Vec<Cond>| {
        rules.push((u32::try_from(number).unwrap_or(u32::MAX), conds));
    };
    allow(libc::SYS_epoll_pwait, vec![is_fd(epoll_fd), is(4, 0)]);
    allow(libc::SYS_timerfd_settime, vec![is_fd(timer_fd)]);
    allow(libc::SYS_clock_gettime, vec![is(0, 0)]);
    allow(libc::SYS_clock_gettime, vec![is(0, 1)]);
    allow(libc::SYS_write, vec![is_fd(1)]);
    for device in devices {
        let fd = is_fd(device.fd);
        match device.kind {
            Kind::Net { .. } => {
                allow(libc::SYS_read, vec![fd]);
                allow(libc::SYS_write, vec![fd]);
            }
            Kind::Block { capacity, sector_size } => {
                // One sector, at an offset that leaves room for it.
                let size = u64::from(sector_size);
                let last = Cond { arg: 3, op: Op::Le, value: capacity.saturating_sub(size) };
                allow(libc::SYS_pread64, vec![fd, is(2, size), last]);
                allow(libc::SYS_pwrite64, vec![fd, is(2, size), last]);
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    allow(libc::SYS_arch_prctl, vec![is(0, ARCH_SET_FS)]);
    allow(libc::SYS_exit_group, vec![]);
    pinned(ABI, &rules)
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
#[path = "filter_tests.rs"]
mod tests;
