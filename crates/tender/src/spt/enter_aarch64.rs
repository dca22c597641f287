//! The last instructions of the runtime, aarch64: a page of code that outlives everything else.
//!
//! Checked by the compiler only: no guest has run on it yet.

use std::arch::{asm, global_asm};

use super::Jump;
use super::trampoline::{FILTER, TRAMPOLINE};
use crate::boot::SPT_BOOT_INFO;
use crate::sys::pointer;

/// End of this process's addresses. It depends on the kernel's VA_BITS; beyond it nothing can be mapped, so the
/// largest size whose last page is mappable (or mapped) is the one.
pub(super) fn task_end() -> u64 {
    let exists = |bits: &u32| {
        let last = (1u64 << bits) - 4096;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: MAP_FIXED_NOREPLACE never replaces a mapping; the page is only tried.
        unsafe {
            let page = libc::mmap(pointer(last), 4096, libc::PROT_NONE, flags, -1, 0);
            if page == libc::MAP_FAILED {
                return std::io::Error::last_os_error().raw_os_error() == Some(libc::EEXIST);
            }
            libc::munmap(page, 4096);
            page == pointer(last)
        }
    };
    1 << [48, 47, 42, 39, 36].iter().find(|bits| exists(bits)).unwrap_or(&48)
}

// In: x20 first address to unmap, x21 end, x22 and x23 the window where the kernel's own pages may be sealed, x24
// the guest's entry point. As on x86_64: a refused unmap is halved until it is one page; inside the window that
// page stays, elsewhere the guest must not run.
global_asm!(
    ".pushsection .rodata.urunc_spt_trampoline, \"a\"",
    ".globl urunc_spt_trampoline, urunc_spt_handler, urunc_spt_trampoline_end",
    ".hidden urunc_spt_trampoline, urunc_spt_handler, urunc_spt_trampoline_end",
    ".p2align 2",
    "urunc_spt_trampoline:",
    "sub x25, x20, #16", // the guest's stack pointer
    "2: sub x26, x21, x20",
    "3: mov x0, x20",
    "mov x1, x26",
    "mov x8, {munmap}",
    "svc 0",
    "cbnz x0, 4f",
    "add x20, x20, x26",
    "b 6f",
    "4: cmp x26, #4096",
    "b.eq 5f",
    "lsr x26, x26, #1",
    "and x26, x26, #0xfffffffffffff000",
    "b 3b",
    "5: cmp x20, x22",
    "b.lo 9f",
    "cmp x20, x23",
    "b.hs 9f",
    "add x20, x20, #4096",
    "6: cmp x20, x21",
    "b.lo 2b",
    "msr tpidr_el0, xzr",
    "mov x0, #1", // SECCOMP_SET_MODE_FILTER
    "mov x1, #0",
    "movz x2, #({filter} & 0xffff)",
    "movk x2, #({filter} >> 16), lsl #16",
    "mov x8, {seccomp}",
    "svc 0",
    "cbnz x0, 9f",
    "mov sp, x25",
    // Nothing of the runtime is left in a register.
    "msr fpcr, xzr",
    "msr fpsr, xzr",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "movi v\\n\\().2d, #0",
    ".endr",
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,25,26,27,28,29,30",
    "mov x\\n, xzr",
    ".endr",
    "movz x0, #({boot_info} & 0xffff)",
    "movk x0, #({boot_info} >> 16), lsl #16",
    "br x24",
    "9: mov x0, #1", // the monitor's own failure
    "b 7f",
    "urunc_spt_handler:",
    "add w0, w0, #128",
    "7: mov x8, {exit_group}",
    "svc 0",
    "brk #1",
    "urunc_spt_trampoline_end:",
    ".popsection",
    munmap = const libc::SYS_munmap,
    seccomp = const libc::SYS_seccomp,
    exit_group = const libc::SYS_exit_group,
    filter = const FILTER,
    boot_info = const SPT_BOOT_INFO,
);

/// Goes to the trampoline.
///
/// # Safety
/// The trampoline page holds [`super::trampoline::code`] and is executable; the filter is at [`FILTER`]; this is the only
/// thread.
pub(super) unsafe fn jump(to: &Jump) -> ! {
    // SAFETY: as the caller says; control never comes back.
    unsafe {
        asm!(
            "br {trampoline}",
            trampoline = in(reg) TRAMPOLINE,
            in("x20") to.unmap_from,
            in("x21") to.unmap_to,
            in("x22") to.sealed_from,
            in("x23") to.sealed_to,
            in("x24") to.entry,
            options(noreturn),
        )
    }
}
