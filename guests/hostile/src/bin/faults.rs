//! Does what its command line names: an access, a jump or an instruction that no guest should make. Ends with 0 when
//! nothing happens; without a name, prints all names.
#![no_std]
#![no_main]

use core::arch::asm;

use solo5::{BootInfo, println};

solo5::guest!(main);

/// What is done, with the size of memory at hand.
type Act = unsafe fn(u64);

/// An act that is some instructions; registers may be spoilt.
macro_rules! code {
    ($($line:literal),+) => {
        |_| {
            // SAFETY: the guest holds nothing that it could lose.
            unsafe {
                asm!($($line),+, out("rax") _, out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _,
                     out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("xmm0") _);
            }
        }
    };
}

/// An act in 32-bit code, entered and left by far returns: getpid by `$entry`.
macro_rules! compat {
    ($entry:literal) => {
        code!(
            "mov rdx, rsp",
            "push 0x23",
            "lea rax, [rip + 2f]",
            "push rax",
            "retfq",
            "2: .byte 0xb8, 20, 0, 0, 0",
            $entry,
            ".byte 0xea",
            ".long 3f",
            ".short 0x33",
            "3: mov rsp, rdx"
        )
    };
}

#[rustfmt::skip]
const ACTS: &[(&str, Act)] = &[
    ("nothing", |_| ()),
    // Memory.
    ("read-0", |_| read(0)),
    ("read-below-the-first-page", |_| read(0xffff)),
    ("read-the-end", read),
    ("read-across-the-end", |end| read(end - 4)),
    ("read-the-runtime", |_| read(0x7fff_ffff_e000)),
    ("read-not-canonical", |_| read(0x8000_0000_0000)),
    ("read-the-direct-map", |_| read(0xffff_8880_0000_0000)),
    ("read-the-kernel", |_| read(0xffff_ffff_8100_0000)),
    ("read-vsyscall", |_| read(0xffff_ffff_ff60_0000)),
    ("read-the-last-byte", |_| read(u64::MAX - 7)),
    ("write-0", |_| write(0)),
    ("write-the-end", write),
    ("write-across-the-end", |end| write(end - 4)),
    ("write-text", |_| write(0x10_0000)),
    ("write-the-tenders-code", |_| write(0x2_4000)),
    ("write-the-kernel", |_| write(0xffff_ffff_8100_0000)),
    ("write-vsyscall", |_| write(0xffff_ffff_ff60_0000)),
    // Jumps and the stack.
    ("jump-0", |_| jump(0)),
    ("jump-data", |end| jump(end - 4096)),
    ("jump-boot-information", |_| jump(0x1_1000)),
    ("jump-the-end", jump),
    ("jump-not-canonical", |_| jump(0x8000_0000_0000)),
    ("jump-the-kernel", |_| jump(0xffff_ffff_8100_0000)),
    ("jump-vsyscall-gettimeofday", |_| jump(0xffff_ffff_ff60_0000)),
    ("jump-vsyscall-time", |_| jump(0xffff_ffff_ff60_0400)),
    ("jump-vsyscall-getcpu", |_| jump(0xffff_ffff_ff60_0800)),
    ("jump-vsyscall-middle", |_| jump(0xffff_ffff_ff60_0123)),
    ("jump-the-tenders-seccomp", |_| jump(0x2_4000)),
    ("stack-overflow", |_| _ = overflow(1)),
    ("stack-at-0", code!("xor esp, esp", "push rax")),
    ("stack-at-the-kernel", code!("mov rsp, -4096", "push rax")),
    // Instructions of the kernel.
    ("hlt", code!("hlt")),
    ("cli", code!("cli")),
    ("sti", code!("sti")),
    ("clts", code!("clts")),
    ("in", code!("in al, 0x80")),
    ("out", code!("out 0x80, al")),
    ("ins", code!("mov edx, 0x64", "mov edi, 0x20000", "insb")),
    ("read-cr0", code!("mov rax, cr0")),
    ("write-cr0", code!("mov cr0, rax")),
    ("write-cr3", code!("mov cr3, rax")),
    ("write-cr4", code!("mov cr4, rax")),
    ("write-cr8", code!("mov cr8, rax")),
    ("read-dr7", code!("mov rax, dr7")),
    ("write-dr7", code!("mov dr7, rax")),
    ("rdmsr", code!("mov ecx, 0xc0000082", "rdmsr")),
    ("wrmsr", code!("mov ecx, 0xc0000082", "wrmsr")),
    ("rdpmc", code!("xor ecx, ecx", "rdpmc")),
    ("lgdt", code!("lgdt [0x20000]")),
    ("lidt", code!("lidt [0x20000]")),
    ("lldt", code!("lldt ax")),
    ("ltr", code!("ltr ax")),
    ("invlpg", code!("invlpg [0x20000]")),
    ("wbinvd", code!("wbinvd")),
    ("swapgs", code!("swapgs")),
    ("sysret", code!("sysretq")),
    ("sysexit", code!("sysexit")),
    ("xsetbv", code!("xor ecx, ecx", "xsetbv")),
    ("mwait", code!("mwait")),
    ("iret-to-ring-0", code!("push 0x18", "push rsp", "pushfq", "push 0x10", "push 0x100000", "iretq")),
    ("far-return-to-ring-0", code!("push 0x10", "push 0x100000", "retfq")),
    ("stack-segment-0", code!("xor eax, eax", "mov ss, eax")),
    ("data-segment-of-ring-0", code!("mov eax, 0x18", "mov ds, eax")),
    ("data-segment-0", code!("xor eax, eax", "mov ds, eax", "mov es, eax", "mov fs, eax", "mov gs, eax")),
    // Other ways into the kernel, and faults.
    ("int-80", code!("mov eax, 20", "int 0x80")),
    ("int-81", code!("int 0x81")),
    ("int-0e", code!("int 0x0e")),
    ("sysenter", code!("mov eax, 20", "sysenter")),
    ("int-80-in-32-bit-code", compat!(".byte 0xcd, 0x80")),
    ("sysenter-in-32-bit-code", compat!(".byte 0x0f, 0x34")),
    ("syscall-in-32-bit-code", compat!(".byte 0x0f, 0x05")),
    ("vmcall", code!("vmcall")),
    ("vmmcall", code!("vmmcall")),
    ("vmxoff", code!("vmxoff")),
    ("vmrun", code!("vmrun")),
    ("enclu", code!("mov eax, 2", ".byte 0x0f, 0x01, 0xd7")),
    ("ud2", code!("ud2")),
    ("int3", code!("int3")),
    ("int1", code!(".byte 0xf1")),
    ("single-step", code!("pushfq", "or dword ptr [rsp], 0x100", "popfq", "nop", "nop")),
    ("single-step-into-a-call", code!(
        "pushfq", "mov eax, 39", "or dword ptr [rsp], 0x100", "popfq", "syscall", "nop"
    )),
    ("divide-by-0", code!("xor ecx, ecx", "xor edx, edx", "div ecx")),
    ("divide-overflow", code!("mov edx, 7", "xor eax, eax", "mov ecx, 1", "div ecx")),
    ("misaligned-with-alignment-check", code!(
        "pushfq", "or dword ptr [rsp], 0x40000", "popfq", "mov eax, [0x20001]"
    )),
    ("misaligned-sse", code!("movaps xmm0, [0x20001]")),
    ("unmasked-sse-exception", code!(
        "push 0x1d80", "ldmxcsr [rsp]", "pop rax", "mov eax, 1", "cvtsi2ss xmm0, eax", "xorps xmm1, xmm1", "divss xmm0, xmm1"
    )),
    ("unmasked-x87-exception", code!("push 0x300", "fldcw [rsp]", "pop rax", "fldz", "fdiv st(0), st(0)", "fwait")),
    ("reserved-mxcsr", code!("push -1", "ldmxcsr [rsp]", "pop rax")),
    ("xrstor-garbage", code!(
        "mov dword ptr [0x20200], -1", "mov dword ptr [0x20204], -1", "mov dword ptr [0x20208], -1",
        "mov eax, -1", "mov edx, -1", "xrstor [0x20000]"
    )),
    ("split-lock", code!("lock add dword ptr [0x2003e], 1")),
    // State that a system call carries along.
    ("flags-into-a-call", code!(
        "pushfq", "or dword ptr [rsp], 0x40400", "popfq", "mov eax, 228", "xor edi, edi", "mov esi, 0x20000", "syscall",
        "pushfq", "and dword ptr [rsp], ~0x40400", "popfq"
    )),
    ("nested-task-into-a-call", code!(
        "pushfq", "or dword ptr [rsp], 0x4000", "popfq", "mov eax, 228", "xor edi, edi", "mov esi, 0x20000", "syscall",
        "pushfq", "and dword ptr [rsp], ~0x4000", "popfq"
    )),
    ("wrfsbase", code!("mov eax, -1", "wrfsbase rax")),
    ("wrfsbase-not-canonical", code!("mov rax, 0x800000000000", "wrfsbase rax")),
    ("wrgsbase", code!("mov rax, -1", "wrgsbase rax", "mov eax, 228", "xor edi, edi", "mov esi, 0x20000", "syscall")),
    ("wrpkru", code!("mov eax, 0xffffffff", "xor ecx, ecx", "xor edx, edx", ".byte 0x0f, 0x01, 0xef")),
    ("amx", code!("mov byte ptr [0x20000], 1", ".byte 0xc4, 0xe2, 0x78, 0x49, 0x04, 0x25", ".long 0x20000")),
    ("amx-data", code!(
        "mov byte ptr [0x20000], 1", "mov byte ptr [0x20010], 4", "mov byte ptr [0x20030], 1",
        ".byte 0xc4, 0xe2, 0x78, 0x49, 0x04, 0x25", ".long 0x20000", ".byte 0xc4, 0xe2, 0x7b, 0x49, 0xc0"
    )),
    ("avx-512", code!(".byte 0x62, 0xf1, 0x7d, 0x48, 0xef, 0xc0")),
    ("sgdt", code!("sgdt [0x20000]")),
    ("smsw", code!("smsw eax")),
    ("cpuid", code!("push rbx", "xor eax, eax", "cpuid", "pop rbx")),
    ("rdtsc", code!("rdtsc")),
    ("umwait", code!("xor eax, eax", "xor edx, edx", "xor ecx, ecx", ".byte 0xf2, 0x0f, 0xae, 0xf1")),
    ("senduipi", code!("xor eax, eax", ".byte 0xf3, 0x0f, 0xc7, 0xf0")),
];

fn main(info: &'static BootInfo) -> u8 {
    let name = info.cmdline();
    match ACTS.iter().find(|(known, _)| *known == name) {
        // SAFETY: it ends the guest, or does nothing that others see.
        Some((_, act)) => unsafe { act(info.mem_size) },
        None => ACTS.iter().for_each(|(name, _)| println!("{name}")),
    }
    0
}

fn read(address: u64) {
    // SAFETY: the guest may read all its memory; elsewhere it faults.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _) };
}

fn write(address: u64) {
    // SAFETY: nothing is there that the guest would use again; elsewhere it faults.
    unsafe { asm!("mov [{0}], {0}", in(reg) address) };
}

fn jump(address: u64) {
    // SAFETY: the guest holds nothing that it could lose.
    unsafe { asm!("call {}", in(reg) address, clobber_abi("C")) };
}

#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 512]);
    if frame[7] == 0 { 0 } else { overflow(depth + 1).wrapping_add(frame[8]) }
}
