//! Why KVM_RUN came back: `struct kvm_run`, read from the page that KVM writes it to.

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::TenderError;

// linux/kvm.h: offsets of `struct kvm_run`. The union of the exits' own members begins at 32.
const EXIT_REASON: usize = 8;
const UNION: usize = 32;
const VALID_REGS: usize = 288;
/// `kvm_regs.rip` in `s.regs`.
const RIP: usize = 304 + 128;
/// Everything that is read.
const SIZE: usize = RIP + 8;
/// General registers, of `kvm_valid_regs` (x86).
const SYNC_REGS: u64 = 1;

const IO: u32 = 2;
const HLT: u32 = 5;
const MMIO: u32 = 6;
const SHUTDOWN: u32 = 8;
const FAIL_ENTRY: u32 = 9;
const INTERNAL_ERROR: u32 = 17;
const MEMORY_FAULT: u32 = 39;

/// Why the guest stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// It wrote four bytes to an I/O port, as hypercalls do.
    Out { port: u16, value: u32 },
    /// It cannot go on.
    End(Cause),
}

/// What a guest ends of, other than by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// An I/O instruction that is no hypercall.
    Port(u16),
    /// An access to physical addresses where it may not.
    Memory { address: u64, write: bool },
    /// KVM_RUN gave EFAULT: as [`Cause::Memory`], but only newer kernels say where (6.8).
    Translation(Option<u64>),
    /// `hlt` without interrupts.
    Halt,
    /// An exception in the handling of an exception, or no handler at all.
    TripleFault,
    /// The processor does not take the guest's state.
    Entry(u64),
    /// KVM cannot go on: 1 is an instruction that it cannot emulate.
    Internal(u32),
    /// An exit that no guest of this ABI makes.
    Other(u32),
    /// KVM_RUN failed.
    Run(i32),
    /// A hypercall whose structure or data are not in the guest's memory.
    Hypercall { number: u16, address: u64 },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Port(port) => write!(f, "port {port:#x} is no hypercall"),
            Self::Memory { address, write: true } => write!(f, "forbidden write to address {address:#x}"),
            Self::Memory { address, write: false } => write!(f, "forbidden read of address {address:#x}"),
            Self::Translation(Some(address)) => {
                write!(f, "host/guest translation fault: forbidden access to address {address:#x}")
            }
            Self::Translation(None) => write!(f, "host/guest translation fault: forbidden access to memory"),
            Self::Halt => write!(f, "halted without an exit status"),
            Self::TripleFault => write!(f, "triple fault"),
            Self::Entry(reason) => {
                write!(f, "KVM: the processor does not enter the guest, reason {reason:#x}")
            }
            Self::Internal(1) => write!(f, "KVM: an instruction that cannot be emulated"),
            Self::Internal(number) => write!(f, "KVM: internal error {number}"),
            Self::Other(reason) => write!(f, "KVM: unexpected exit {reason}"),
            // From Linux 6.14 on the first KVM_RUN starts a kernel thread, which belongs to this process.
            Self::Run(libc::EAGAIN) => {
                write!(f, "KVM_RUN: no thread for KVM within the limits for processes")
            }
            Self::Run(errno) => write!(f, "KVM_RUN: errno {errno}"),
            Self::Hypercall { number, address } => {
                write!(f, "hypercall {number}: address {address:#x} is not in the guest's memory")
            }
        }
    }
}

/// The page that KVM and this process share.
pub(super) struct RunPage {
    start: *mut u8,
    bytes: usize,
    has_registers: bool,
}

impl RunPage {
    /// Maps it. With `sync`, KVM leaves the guest's registers there: a running tender may not ask for them.
    pub(super) fn map(processor: &OwnedFd, bytes: usize, sync: bool) -> Result<Self, TenderError> {
        if bytes < SIZE {
            return Err(TenderError::Host(format!("KVM shares {bytes} bytes, fewer than {SIZE}")));
        }
        let (protection, fd) = (libc::PROT_READ | libc::PROT_WRITE, processor.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(TenderError::last("mmap kvm_run"));
        }
        let page = Self { start: start.cast(), bytes, has_registers: sync };
        if sync {
            let place = page.start.wrapping_add(VALID_REGS).cast::<[u8; 8]>();
            // SAFETY: in bounds; KVM reads it at KVM_RUN.
            unsafe { place.write_volatile(SYNC_REGS.to_ne_bytes()) };
        }
        Ok(page)
    }

    /// Why KVM_RUN came back without an error.
    pub(super) fn exit(&self) -> Exit {
        match self.u32(EXIT_REASON) {
            IO => self.io(),
            MMIO => Exit::End(Cause::Memory {
                address: self.u64(UNION),
                write: self.bytes::<1>(UNION + 20)[0] != 0,
            }),
            HLT => Exit::End(Cause::Halt),
            SHUTDOWN => Exit::End(Cause::TripleFault),
            FAIL_ENTRY => Exit::End(Cause::Entry(self.u64(UNION))),
            INTERNAL_ERROR => Exit::End(Cause::Internal(self.u32(UNION))),
            other => Exit::End(Cause::Other(other)),
        }
    }

    /// What EFAULT of KVM_RUN means.
    pub(super) fn fault(&self) -> Cause {
        let is_known = self.u32(EXIT_REASON) == MEMORY_FAULT;
        Cause::Translation(is_known.then(|| self.u64(UNION + 8)))
    }

    /// Address of the guest's instruction, if KVM leaves it; 0 is what was there before.
    pub(super) fn instruction(&self) -> Option<u64> {
        self.has_registers.then(|| self.u64(RIP)).filter(|address| *address != 0)
    }

    /// A hypercall is one 32-bit `out`; strings, other sizes and `in` are none.
    fn io(&self) -> Exit {
        let [direction, size] = self.bytes(UNION);
        let port = u16::from_ne_bytes(self.bytes(UNION + 2));
        let count = self.u32(UNION + 4);
        let data = usize::try_from(self.u64(UNION + 8)).ok().filter(|at| at.saturating_add(4) <= self.bytes);
        match data {
            Some(at) if (direction, size, count) == (1, 4, 1) => Exit::Out { port, value: self.u32(at) },
            _ => Exit::End(Cause::Port(port)),
        }
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes(at))
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        assert!(at + N <= self.bytes);
        // SAFETY: in bounds; volatile because KVM writes it.
        unsafe { self.start.add(at).cast::<[u8; N]>().read_volatile() }
    }
}

impl Drop for RunPage {
    fn drop(&mut self) {
        // SAFETY: start and length are those of the mapping this value owns; no reference into it exists.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
