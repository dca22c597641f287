//! A guest without a linker: it performs a list of steps and ends with 200 + the index of the first wrong one.

use std::arch::global_asm;

use crate::image::{Image, Part};

/// Where the steps are.
const SCRIPT: u64 = 0x10_2000;
/// Where the data of a guest is, readable and writable.
pub const DATA: u64 = 0x11_0000;
/// Where it has structures for hypercalls, in the same pages.
pub const CALL: u64 = DATA + 0x2000;

/// What the guest does.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Hypercall of this number with the structure at this address.
    Call(u64, u64),
    /// Writes eight bytes.
    Set(u64, u64),
    /// There are these eight bytes.
    Expect(u64, u64),
    /// There are these four bytes.
    Expect32(u64, u32),
    /// Reads a byte.
    Read(u64),
    /// Writes a byte.
    Write(u64),
    /// Calls the address.
    Jump(u64),
    /// Loops for ever.
    Spin,
    /// At the entry the stack pointer had this value, rdi that of the boot information, and every other register but
    /// rdx, which has the processor's model, was 0.
    Entry(u64),
    /// Writes a byte to an I/O port.
    OutByte(u64),
    /// Reads four bytes from an I/O port.
    In(u64),
    /// `hlt`.
    Halt,
    /// An undefined instruction.
    Undefined,
    /// Leaves what `cpuid` says of leaf and subleaf at the address.
    Cpuid(u64, u64, u64),
}

/// An image that performs the steps on `data`, and ends with 0.
pub fn image(steps: &[Step], data: &[u8]) -> Image {
    let mut script = Vec::new();
    for step in steps.iter().chain(&exit(0)) {
        let (op, [a, b, c]) = match *step {
            Step::Call(number, at) => (0, [0x500 + number, at, 0]),
            Step::Set(at, value) => (1, [at, value, 0]),
            Step::Expect(at, value) => (2, [at, value, 0]),
            Step::Expect32(at, value) => (3, [at, value.into(), 0]),
            Step::Read(at) => (4, [at, 0, 0]),
            Step::Write(at) => (5, [at, 0, 0]),
            Step::Jump(at) => (6, [at, 0, 0]),
            Step::Spin => (7, [0; 3]),
            Step::Entry(stack) => (8, [stack, 0, 0]),
            Step::OutByte(port) => (9, [port, 0, 0]),
            Step::In(port) => (10, [port, 0, 0]),
            Step::Halt => (11, [0; 3]),
            Step::Undefined => (12, [0; 3]),
            Step::Cpuid(leaf, subleaf, at) => (13, [leaf, subleaf, at]),
        };
        script.extend([op, a, b, c].into_iter().flat_map(u64::to_le_bytes));
    }
    assert!(script.len() <= 0xe000, "too many steps");
    let mut image = Image::new(code(), &script);
    image.target = 1;
    image.parts.push(Part { vaddr: DATA, flags: 6, bytes: [data, &[0; 8]].concat(), zeroes: 0x4000 });
    image
}

/// A hypercall on a structure of these words.
pub fn call(number: u64, words: &[u64]) -> Vec<Step> {
    let set = (CALL..).step_by(8).zip(words).map(|(at, word)| Step::Set(at, *word));
    set.chain([Step::Call(number, CALL)]).collect()
}

/// Ends the guest.
pub fn exit(status: u64) -> Vec<Step> {
    call(8, &[0, status])
}

/// Prints `len` bytes of the data.
pub fn print(len: u64) -> Vec<Step> {
    call(2, &[DATA, len])
}

/// Waits for an event, for a day.
pub fn wait() -> Vec<Step> {
    call(3, &[86_400_000_000_000])
}

fn code() -> &'static [u8] {
    unsafe extern "C" {
        static urunc_test_hvt: u8;
        static urunc_test_hvt_end: u8;
    }
    let start = &raw const urunc_test_hvt;
    // SAFETY: the symbols delimit read-only data.
    unsafe { std::slice::from_raw_parts(start, (&raw const urunc_test_hvt_end).addr() - start.addr()) }
}

// A step is 32 bytes: operation and three arguments, which are in rax, rbx and rcx.
global_asm!(
    ".macro urunc_case number, label",
    "cmp edx, \\number",
    "je \\label",
    ".endm",
    ".pushsection .rodata.urunc_test_hvt, \"a\"",
    ".globl urunc_test_hvt, urunc_test_hvt_end",
    ".hidden urunc_test_hvt, urunc_test_hvt_end",
    "urunc_test_hvt:",
    "or rax, rbx",
    "or rax, rcx",
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
    "xor rdi, 0x10000",
    "or rax, rdi",
    "mov r13, rax",
    "mov ebp, {script}",
    "xor r15d, r15d",
    "20: mov edx, [rbp]",
    "mov rax, [rbp + 8]",
    "mov rbx, [rbp + 16]",
    "mov rcx, [rbp + 24]",
    "urunc_case 0, 30f",
    "urunc_case 1, 31f",
    "urunc_case 2, 32f",
    "urunc_case 3, 33f",
    "urunc_case 4, 34f",
    "urunc_case 5, 35f",
    "urunc_case 6, 36f",
    "urunc_case 7, 37f",
    "urunc_case 8, 38f",
    "urunc_case 9, 39f",
    "urunc_case 10, 40f",
    "urunc_case 11, 41f",
    "urunc_case 12, 42f",
    "urunc_case 13, 43f",
    "ud2",
    "30: mov edx, eax",
    "mov eax, ebx",
    "out dx, eax",
    "21: add rbp, 32",
    "inc r15d",
    "jmp 20b",
    "31: mov [rax], rbx",
    "jmp 21b",
    "32: cmp [rax], rbx",
    "jne 22f",
    "jmp 21b",
    "33: cmp [rax], ebx",
    "jne 22f",
    "jmp 21b",
    "34: mov al, [rax]",
    "jmp 21b",
    "35: mov byte ptr [rax], 0xc3",
    "jmp 21b",
    "36: call rax",
    "jmp 21b",
    "37: jmp 37b",
    "38: test r13, r13",
    "jnz 22f",
    "cmp rsp, rax",
    "jne 22f",
    "jmp 21b",
    "39: mov edx, eax",
    "out dx, al",
    "jmp 21b",
    "40: mov edx, eax",
    "in eax, dx",
    "jmp 21b",
    "41: hlt",
    "jmp 21b",
    "42: ud2",
    "43: mov r8, rcx",
    "mov ecx, ebx",
    "cpuid",
    "mov [r8], eax",
    "mov [r8 + 4], ebx",
    "mov [r8 + 8], ecx",
    "mov [r8 + 12], edx",
    "jmp 21b",
    "22: lea ebx, [r15 + 200]",
    "mov eax, {call}",
    "mov [rax + 8], rbx",
    "mov edx, 0x508",
    "out dx, eax",
    "ud2",
    "urunc_test_hvt_end:",
    ".popsection",
    ".purgem urunc_case",
    script = const SCRIPT,
    call = const CALL,
);
