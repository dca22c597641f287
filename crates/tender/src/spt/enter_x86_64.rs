//! The last instructions of the runtime, x86_64: a page of code that outlives everything else.

use std::arch::{asm, global_asm};

use super::Jump;
use super::trampoline::{FILTER, TRAMPOLINE};
use crate::boot::SPT_BOOT_INFO;

/// End of the addresses that can be mapped without asking for five-level paging (`TASK_SIZE_MAX`).
pub(super) fn task_end() -> u64 {
    0x7fff_ffff_f000
}

// In: r12 first address to unmap, r13 end, r14 and r15 the window where the kernel's own pages may be sealed, rbx
// the guest's entry point. No stack: the old one goes, the guest's is not ours.
//
// A refused unmap is halved until it is one page; inside the window that page stays, elsewhere the guest must not
// run. System calls keep all registers but rax, rcx and r11.
global_asm!(
    ".pushsection .rodata.urunc_spt_trampoline, \"a\"",
    ".globl urunc_spt_trampoline, urunc_spt_handler, urunc_spt_trampoline_end",
    ".hidden urunc_spt_trampoline, urunc_spt_handler, urunc_spt_trampoline_end",
    "urunc_spt_trampoline:",
    "cld",
    "lea r10, [r12 - 8]", // the guest's stack pointer: as after a call
    "2: mov rsi, r13",
    "sub rsi, r12",
    "3: mov rdi, r12",
    "mov eax, {munmap}",
    "syscall",
    "test rax, rax",
    "jnz 4f",
    "add r12, rsi",
    "jmp 6f",
    "4: cmp rsi, 4096",
    "je 5f",
    "shr rsi, 1",
    "and rsi, -4096",
    "jmp 3b",
    "5: cmp r12, r14",
    "jb 9f",
    "cmp r12, r15",
    "jae 9f",
    "add r12, 4096",
    "6: cmp r12, r13",
    "jb 2b",
    "mov edi, 0x1002", // ARCH_SET_FS
    "xor esi, esi",
    "mov eax, {arch_prctl}",
    "syscall",
    "mov edi, 1", // SECCOMP_SET_MODE_FILTER
    "xor esi, esi",
    "mov edx, {filter}",
    "mov eax, {seccomp}",
    "syscall",
    "test rax, rax",
    "jnz 9f",
    "mov rsp, r10",
    // Nothing of the runtime is left in a register.
    "fninit",
    "ldmxcsr [rip + 8f]",
    "pxor xmm0, xmm0",
    "pxor xmm1, xmm1",
    "pxor xmm2, xmm2",
    "pxor xmm3, xmm3",
    "pxor xmm4, xmm4",
    "pxor xmm5, xmm5",
    "pxor xmm6, xmm6",
    "pxor xmm7, xmm7",
    "pxor xmm8, xmm8",
    "pxor xmm9, xmm9",
    "pxor xmm10, xmm10",
    "pxor xmm11, xmm11",
    "pxor xmm12, xmm12",
    "pxor xmm13, xmm13",
    "pxor xmm14, xmm14",
    "pxor xmm15, xmm15",
    "xor eax, eax",
    "xor ecx, ecx",
    "xor edx, edx",
    "xor ebp, ebp",
    "xor r8d, r8d",
    "xor r9d, r9d",
    "xor r10d, r10d",
    "xor r11d, r11d",
    "xor r12d, r12d",
    "xor r13d, r13d",
    "xor r14d, r14d",
    "xor r15d, r15d",
    "mov edi, {boot_info}",
    "jmp rbx",
    "9: mov edi, 1", // the monitor's own failure
    "jmp 7f",
    "urunc_spt_handler:",
    "add edi, 128",
    "7: mov eax, {exit_group}",
    "syscall",
    "ud2",
    ".p2align 2",
    "8: .long 0x1f80", // MXCSR after reset
    "urunc_spt_trampoline_end:",
    ".popsection",
    munmap = const libc::SYS_munmap,
    arch_prctl = const libc::SYS_arch_prctl,
    seccomp = const libc::SYS_seccomp,
    exit_group = const libc::SYS_exit_group,
    filter = const FILTER,
    boot_info = const SPT_BOOT_INFO,
);

/// Goes to the trampoline.
///
/// # Safety
/// The trampoline page holds [`super::trampoline::code`] and is executable; the filter is at [`FILTER`]; this is the
/// only thread.
pub(super) unsafe fn jump(to: &Jump) -> ! {
    // SAFETY: as the caller says; control never comes back.
    unsafe {
        asm!(
            // rbx cannot be named as an operand.
            "mov rbx, {entry}",
            "jmp {trampoline}",
            entry = in(reg) to.entry,
            trampoline = in(reg) TRAMPOLINE,
            in("r12") to.unmap_from,
            in("r13") to.unmap_to,
            in("r14") to.sealed_from,
            in("r15") to.sealed_to,
            options(noreturn),
        )
    }
}
