//! A guest without a linker: it performs a list of steps and ends with 200 + the index of the first wrong one.

use std::arch::global_asm;

use crate::image::{Image, Part};

/// Where the steps are.
const SCRIPT: u64 = 0x10_2000;
/// Where the data of a guest is, readable and writable.
pub const DATA: u64 = 0x11_0000;
/// Marks an argument that is an i32 of the boot information at this offset.
const INDIRECT: u64 = 0xee << 56;
/// The epoll set.
pub const EPOLL: u64 = INDIRECT | 0x20;
/// The timer.
pub const TIMER: u64 = INDIRECT | 0x24;

/// The descriptor of a device, by its manifest index from 1.
pub const fn device(index: u64) -> u64 {
    INDIRECT | (40 + 8 + 104 * index + 88)
}

/// What the guest does.
#[derive(Clone, Copy)]
pub enum Step {
    /// A system call; its result must be the last number.
    Call(i64, [u64; 6], i64),
    /// A system call with any result.
    Try(i64, [u64; 6]),
    /// Reads a byte.
    Read(u64),
    /// Writes a byte.
    Write(u64),
    /// Calls the address.
    Jump(u64),
    /// Sets the stack pointer.
    Stack(u64),
    /// Loops for ever.
    Spin,
    /// At the entry the stack pointer had this value every register but rdi, rbx and rsp was 0, and
    /// so was the thread pointer.
    Entry(u64),
}

/// An image that performs the steps on `data`, and ends with 0.
pub fn image(steps: &[Step], data: &[u8]) -> Image {
    let mut script = Vec::new();
    for step in steps.iter().chain([&exit(0)]) {
        let (op, number, args, expect, check) = match *step {
            Step::Call(number, args, expect) => (0, number, args, expect, 1),
            Step::Try(number, args) => (0, number, args, 0, 0),
            Step::Read(address) => (1, 0, [address, 0, 0, 0, 0, 0], 0, 0),
            Step::Write(address) => (2, 0, [address, 0, 0, 0, 0, 0], 0, 0),
            Step::Jump(address) => (3, 0, [address, 0, 0, 0, 0, 0], 0, 0),
            Step::Stack(address) => (6, 0, [address, 0, 0, 0, 0, 0], 0, 0),
            Step::Spin => (4, 0, [0; 6], 0, 0),
            Step::Entry(stack) => (5, 0, [stack, 0, 0, 0, 0, 0], 0, 0),
        };
        let words =
            [op, number.cast_unsigned()].into_iter().chain(args).chain([expect.cast_unsigned(), check]);
        script.extend(words.flat_map(u64::to_le_bytes));
    }
    let mut image = Image::new(code(), &script);
    image.parts.push(Part { vaddr: DATA, flags: 6, bytes: [data, &[0; 8]].concat(), zeroes: 0x4000 });
    image
}

/// Ends the guest.
pub const fn exit(status: u64) -> Step {
    Step::Try(libc::SYS_exit_group, [status, 0, 0, 0, 0, 0])
}

/// Prints `len` bytes of the data.
pub const fn print(len: u64) -> Step {
    Step::Call(libc::SYS_write, [1, DATA, len, 0, 0, 0], len.cast_signed())
}

/// Waits for an event, for ever; the guest's timer is not set.
pub const WAIT: Step = Step::Try(libc::SYS_epoll_pwait, [EPOLL, DATA + 0x1000, 4, u64::MAX, 0, 0]);

fn code() -> &'static [u8] {
    unsafe extern "C" {
        static urunc_test_guest: u8;
        static urunc_test_guest_end: u8;
    }
    let start = &raw const urunc_test_guest;
    // SAFETY: the symbols delimit read-only data.
    unsafe { std::slice::from_raw_parts(start, (&raw const urunc_test_guest_end).addr() - start.addr()) }
}

// A step is 80 bytes: operation, number, six arguments, expected result, whether it is checked.
global_asm!(
    ".macro urunc_argument to, low, from",
    "mov \\to, [rbp + \\from]",
    "mov rcx, \\to",
    "shr rcx, 56",
    "cmp ecx, 0xee",
    "jne 77f",
    "mov ecx, \\low",
    "movsxd \\to, dword ptr [r12 + rcx]",
    "77:",
    ".endm",
    ".pushsection .rodata.urunc_test_guest, \"a\"",
    ".globl urunc_test_guest, urunc_test_guest_end",
    ".hidden urunc_test_guest, urunc_test_guest_end",
    "urunc_test_guest:",
    "or rax, rcx",
    "mov rcx, fs:[0x11000]", // the size of memory, if the thread pointer is 0
    "sub rcx, [rdi]",
    "or rax, rcx",
    "or rax, rdx",
    "or rax, rsi",
    "or rax, rbp",
    "or rax, r8",
    "or rax, r9",
    "or rax, r10",
    "or rax, r11",
    "or rax, r12",
    "or rax, r13",
    "or rax, r14",
    "or rax, r15",
    "movq rcx, xmm0",
    "or rax, rcx",
    "movq rcx, xmm15",
    "or rax, rcx",
    "mov r13, rax",
    "mov r12, rdi",
    "mov ebp, {script}",
    "xor r15d, r15d",
    "20: mov eax, [rbp]",
    "cmp eax, 1",
    "je 31f",
    "cmp eax, 2",
    "je 32f",
    "cmp eax, 3",
    "je 33f",
    "cmp eax, 4",
    "je 34f",
    "cmp eax, 5",
    "je 35f",
    "cmp eax, 6",
    "je 36f",
    "urunc_argument rdi, edi, 16",
    "urunc_argument rsi, esi, 24",
    "urunc_argument rdx, edx, 32",
    "urunc_argument r10, r10d, 40",
    "urunc_argument r8, r8d, 48",
    "urunc_argument r9, r9d, 56",
    "mov rax, [rbp + 8]",
    "syscall",
    "cmp qword ptr [rbp + 72], 0",
    "je 21f",
    "cmp rax, [rbp + 64]",
    "jne 22f",
    "21: add rbp, 80",
    "inc r15d",
    "jmp 20b",
    "31: mov rax, [rbp + 16]",
    "mov al, [rax]",
    "jmp 21b",
    "32: mov rax, [rbp + 16]",
    "mov byte ptr [rax], 0xc3",
    "jmp 21b",
    "33: call [rbp + 16]",
    "jmp 21b",
    "34: jmp 34b",
    "36: mov rsp, [rbp + 16]",
    "jmp 21b",
    "35: test r13, r13",
    "jnz 22f",
    "cmp rsp, [rbp + 16]",
    "je 21b",
    "22: lea edi, [r15 + 200]",
    "mov eax, 231",
    "syscall",
    "ud2",
    "urunc_test_guest_end:",
    ".popsection",
    ".purgem urunc_argument",
    script = const SCRIPT,
);
