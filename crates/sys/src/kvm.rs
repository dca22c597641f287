//! Does /dev/kvm run real guests? Answered by running one: four SSE instructions.
//!
//! A host may offer KVM whose guests run in the kernel's instruction emulator (nested clouds without VT-x or SVM
//! do). Its API is complete and tiny integer programs work, but the first SSE instruction ends in an internal error
//! and everything else is a thousand times too slow: no capability tells, so only execution does.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod guard;
#[cfg(target_arch = "x86_64")]
mod machine;
#[cfg(target_arch = "x86_64")]
mod map;

use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;
use urunc_plan::input::KvmFacts;

/// Opens `/dev/kvm`.
///
/// # Errors
/// As open(2).
pub fn open() -> crate::Result<OwnedFd> {
    rustix::fs::open("/dev/kvm", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| crate::SysError::new("open", "/dev/kvm", errno))
}

/// Whether a guest may run on `/dev/kvm`, found by running a tiny one for at most 100 ms.
///
/// A device that cannot be opened or makes no virtual machine is [`KvmFacts::Absent`]. Neither descriptor nor mapping
/// nor signal state is left behind. On other architectures than x86_64 KVM is always hardware.
pub fn probe() -> KvmFacts {
    let Ok(device) = open() else { return KvmFacts::Absent };
    executes_sse(&device)
        .map_or(KvmFacts::Absent, |works| if works { KvmFacts::Usable } else { KvmFacts::Emulated })
}

#[cfg(not(target_arch = "x86_64"))]
fn executes_sse(_: &OwnedFd) -> std::io::Result<bool> {
    Ok(true)
}

#[cfg(target_arch = "x86_64")]
fn executes_sse(device: &OwnedFd) -> std::io::Result<bool> {
    Ok(machine::Machine::new(device, &SSE)?.run()? == Some(TOKEN))
}

/// Passes through two SSE registers on its way from eax to ebx.
#[cfg(target_arch = "x86_64")]
const TOKEN: u32 = 0x5353_4521;
/// 32-bit code.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const SSE: [u8; 22] = [
    0xb8, 0x21, 0x45, 0x53, 0x53, // mov  eax, TOKEN
    0x66, 0x0f, 0x6e, 0xc0,       // movd xmm0, eax
    0x66, 0x0f, 0xef, 0xc9,       // pxor xmm1, xmm1
    0x66, 0x0f, 0xeb, 0xc8,       // por  xmm1, xmm0
    0x66, 0x0f, 0x7e, 0xcb,       // movd ebx, xmm1
    0xf4,                         // hlt
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What `program` leaves in ebx; `Err` without a usable device.
    #[cfg(target_arch = "x86_64")]
    fn run(program: &[u8]) -> std::io::Result<Option<u32>> {
        let device = rustix::fs::open("/dev/kvm", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        machine::Machine::new(&device, program)?.run()
    }

    fn open_kvm_descriptors() -> usize {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap();
        fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().contains("kvm"))
            .count()
    }

    fn kvm_mappings() -> usize {
        std::fs::read_to_string("/proc/self/maps").unwrap().matches("kvm").count()
    }

    /// One test, because it compares what the whole process holds.
    #[test]
    fn answers_agree_with_the_device_and_nothing_is_left() {
        let opens = std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        let answer = probe();
        assert_ne!(answer, KvmFacts::Unprobed);
        assert_eq!(answer == KvmFacts::Absent, !opens);
        assert_eq!(probe(), answer);
        #[cfg(target_arch = "x86_64")]
        {
            let mov_ebx_hlt = [0xbb, 0x78, 0x56, 0x34, 0x12, 0xf4];
            assert_eq!(run(&mov_ebx_hlt).ok(), opens.then_some(Some(0x1234_5678)));
            let jump_to_itself = [0xeb, 0xfe];
            assert_eq!(run(&jump_to_itself).ok(), opens.then_some(None));
        }
        assert_eq!((open_kvm_descriptors(), kvm_mappings()), (0, 0));
    }
}
