//! One virtual machine with one page of memory and one CPU.

use super::guard::Guard;
use super::map::Page;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

// linux/kvm.h
const API_VERSION: i32 = 12;
const GET_API_VERSION: u64 = 0xae00;
const CREATE_VM: u64 = 0xae01;
const GET_VCPU_MMAP_SIZE: u64 = 0xae04;
const CREATE_VCPU: u64 = 0xae41;
const SET_USER_MEMORY_REGION: u64 = 0x4020_ae46;
const SET_TSS_ADDR: u64 = 0xae47;
const RUN: u64 = 0xae80;
const GET_REGS: u64 = 0x8090_ae81;
const SET_REGS: u64 = 0x4090_ae82;
const GET_SREGS: u64 = 0x8138_ae83;
const SET_SREGS: u64 = 0x4138_ae84;
const SET_SIGNAL_MASK: u64 = 0x4004_ae8b;
/// `offsetof(struct kvm_run, exit_reason)`.
const EXIT_REASON: usize = 8;
const EXIT_HLT: u32 = 5;

/// Real hardware needs microseconds.
const LIMIT: Duration = Duration::from_millis(100);
const PAGE: usize = 4096;
/// Guest-physical address of the page; not 0, so that a wild jump does not find the program.
const LOAD: u64 = 0x1000;
#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest: u64,
    bytes: u64,
    host: u64,
}

#[repr(C)]
#[derive(Default)]
struct Regs {
    rax: u64,
    rbx: u64,
    others: [u64; 14],
    rip: u64,
    rflags: u64,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Segment {
    base: u64,
    limit: u32,
    selector: u16,
    kind: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    rest: [u8; 3],
}

#[repr(C)]
#[derive(Default)]
struct Sregs {
    /// cs ds es fs gs ss
    segments: [Segment; 6],
    /// tr ldt
    system: [Segment; 2],
    tables: [u64; 4],
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    interrupts: [u64; 4],
}

#[repr(C, packed)]
struct SignalMask {
    len: u32,
    set: u64,
}

/// Descriptors close and mappings vanish in the order of declaration: the CPU before its machine.
pub(super) struct Machine {
    cpu: OwnedFd,
    state: Page,
    _vm: OwnedFd,
    _memory: Page,
}

/// ioctl(2) with a number or no argument.
fn call(fd: &OwnedFd, request: u64, argument: u64) -> io::Result<i32> {
    // SAFETY: the requests used here take a number, or nothing, and touch no memory of ours.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, argument) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// ioctl(2) with a structure of the kernel's layout for `request`.
fn exchange<T>(fd: &OwnedFd, request: u64, argument: &mut T) -> io::Result<()> {
    // SAFETY: every caller pairs a request with the structure of that request; the borrow outlives the call.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(argument)) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// An ioctl(2) that returns a new descriptor.
fn create(fd: &OwnedFd, request: u64) -> io::Result<OwnedFd> {
    let new = call(fd, request, 0)?;
    // SAFETY: the kernel has just made this descriptor (close-on-exec) and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

impl Machine {
    /// Makes it and loads a program of at most one page.
    pub(super) fn new(device: &OwnedFd, program: &[u8]) -> io::Result<Self> {
        if call(device, GET_API_VERSION, 0)? != API_VERSION {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let vm = create(device, CREATE_VM)?;
        // Intel without unrestricted guests needs three spare pages; elsewhere this does nothing.
        call(&vm, SET_TSS_ADDR, 0xfffb_d000)?;
        let mut memory = Page::anonymous(PAGE)?;
        memory.write(program);
        let mut region =
            MemoryRegion { slot: 0, flags: 0, guest: LOAD, bytes: PAGE as u64, host: memory.address() };
        exchange(&vm, SET_USER_MEMORY_REGION, &mut region)?;
        let cpu = create(&vm, CREATE_VCPU)?;
        let size = usize::try_from(call(device, GET_VCPU_MMAP_SIZE, 0)?).unwrap_or(PAGE);
        let state = Page::shared(&cpu, size)?;
        Ok(Self { cpu, state, _vm: vm, _memory: memory })
    }

    /// Runs the program; its ebx if it halted in time.
    pub(super) fn run(&self) -> io::Result<Option<u32>> {
        self.enter_protected_mode()?;
        let mut mask = SignalMask { len: 8, set: Guard::MASK_WHILE_RUNNING };
        exchange(&self.cpu, SET_SIGNAL_MASK, &mut mask)?;
        let guard = Guard::arm(LIMIT)?;
        let ran = call(&self.cpu, RUN, 0);
        drop(guard);
        if ran.is_err() || self.state.read_u32(EXIT_REASON) != EXIT_HLT {
            return Ok(None);
        }
        let mut regs = Regs::default();
        exchange(&self.cpu, GET_REGS, &mut regs)?;
        Ok(u32::try_from(regs.rbx).ok())
    }

    /// Flat 32-bit segments, no paging, SSE on: the least that every generation of hardware runs natively.
    fn enter_protected_mode(&self) -> io::Result<()> {
        let mut sregs = Sregs::default();
        exchange(&self.cpu, GET_SREGS, &mut sregs)?;
        let data = Segment {
            limit: u32::MAX,
            selector: 16,
            kind: 3,
            present: 1,
            db: 1,
            s: 1,
            g: 1,
            ..Segment::default()
        };
        sregs.segments = [data; 6];
        sregs.segments[0] = Segment { selector: 8, kind: 11, ..data };
        sregs.cr0 = 0x33; // NE, ET, MP, PE
        sregs.cr4 = 0x600; // OSXMMEXCPT, OSFXSR
        exchange(&self.cpu, SET_SREGS, &mut sregs)?;
        let mut regs = Regs { rip: LOAD, rflags: 2, ..Regs::default() };
        exchange(&self.cpu, SET_REGS, &mut regs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_their_requests_encode() {
        let encoded = |request: u64| usize::try_from(request >> 16 & 0x3fff).unwrap();
        assert_eq!(size_of::<MemoryRegion>(), encoded(SET_USER_MEMORY_REGION));
        assert_eq!(size_of::<Regs>(), encoded(GET_REGS));
        assert_eq!(size_of::<Regs>(), encoded(SET_REGS));
        assert_eq!(size_of::<Sregs>(), encoded(GET_SREGS));
        assert_eq!(size_of::<Sregs>(), encoded(SET_SREGS));
    }
}
