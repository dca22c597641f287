//! Programs for seccomp(2) that let through a few system calls with pinned arguments and kill the process at any other.

use urunc_plan::bpf::{Cond, Insn, Op};
use urunc_plan::seccomp::pinned;
use urunc_plan::syscalls::Abi;

use crate::boot::{Attached, Kind};

/// This program's own.
#[cfg(target_arch = "x86_64")]
pub(crate) const ABI: Abi = Abi::X86_64;
/// This program's own.
#[cfg(target_arch = "aarch64")]
pub(crate) const ABI: Abi = Abi::Aarch64;

/// What a filter lets through. Rules for one call are alternatives.
#[derive(Debug)]
pub(crate) struct Rules {
    abi: Abi,
    list: Vec<(u32, Vec<Cond>)>,
}

impl Rules {
    /// Nothing yet.
    pub(crate) fn new(abi: Abi) -> Self {
        Self { abi, list: Vec::new() }
    }

    /// Lets a call through under these conditions. What an architecture does not have needs no rule there.
    pub(crate) fn allow(&mut self, name: &str, conditions: Vec<Cond>) {
        self.list.extend(self.abi.number(name).map(|number| (number, conditions)));
    }

    /// Frames of network devices, and sectors of disks: one for each call, at an offset that leaves room for it.
    pub(crate) fn allow_devices(&mut self, devices: &[Attached]) {
        for device in devices {
            let fd = is_fd(device.fd);
            match device.kind {
                Kind::Net { .. } => {
                    self.allow("read", vec![fd]);
                    self.allow("write", vec![fd]);
                }
                Kind::Block { capacity, sector_size } => {
                    let size = u64::from(sector_size);
                    let last = Cond { arg: 3, op: Op::Le, value: capacity.saturating_sub(size) };
                    self.allow("pread64", vec![fd, is(2, size), last]);
                    self.allow("pwrite64", vec![fd, is(2, size), last]);
                }
            }
        }
    }

    /// The program.
    pub(crate) fn program(&self) -> Vec<Insn> {
        pinned(self.abi, &self.list)
    }
}

/// The argument has this value, all 64 bits of it.
pub(crate) fn is(arg: u8, value: u64) -> Cond {
    Cond { arg, op: Op::Eq, value }
}

/// The first argument is this descriptor.
pub(crate) fn is_fd(fd: i32) -> Cond {
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

/// [`encode`] for the address where the bytes are, from which they must not move.
pub(crate) fn in_place(program: &[Insn]) -> Vec<u8> {
    let mut bytes = encode(program, 0);
    let code = (bytes.as_ptr().expose_provenance() as u64 + 16).to_ne_bytes();
    bytes.iter_mut().skip(8).zip(code).for_each(|(to, from)| *to = from);
    bytes
}

#[cfg(test)]
mod tests;
