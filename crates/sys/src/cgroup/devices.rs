//! The v2 device controller: an eBPF program of type `BPF_PROG_TYPE_CGROUP_DEVICE`, made from rules.
//!
//! The kernel asks it on each open and mknod of a device; it answers 1 for yes. The last rule that meets the request
//! decides, so rules are emitted from the last to the first.
#![allow(unsafe_code)]

use crate::{Result, SysError};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use urunc_plan::launch::DeviceRule;

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of ancestors, and of an engine, hold too.
const BPF_F_ALLOW_MULTI: u32 = 2;

// Opcodes of linux/bpf.h.
const LDX_W: u8 = 0x61;
const MOV32_X: u8 = 0xbc;
const MOV32_K: u8 = 0xb4;
const AND32_K: u8 = 0x54;
const RSH32_K: u8 = 0x74;
const JEQ32_K: u8 = 0x16;
const JNE32_K: u8 = 0x56;
const JNE32_X: u8 = 0x5e;
const EXIT: u8 = 0x95;

// Registers: r1 is the context, later a scratch.
const ANSWER: u8 = 0;
const SCRATCH: u8 = 1;
const ACCESS: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// One instruction, `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Insn {
    code: u8,
    /// Destination in the low four bits, source in the high ones.
    registers: u8,
    offset: i16,
    imm: i32,
}

fn insn(code: u8, dst: u8, src: u8, imm: u32) -> Insn {
    Insn { code, registers: dst | src << 4, offset: 0, imm: imm.cast_signed() }
}

/// The part of `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct Attach {
    target_fd: i32,
    program_fd: i32,
    kind: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    program: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// Loads the program of these rules and attaches it to a v2 directory, for good.
pub(super) fn attach(dir: &OwnedFd, rules: &[DeviceRule]) -> Result<()> {
    let program = load(&compile(rules))?;
    let attach = Attach {
        target_fd: dir.as_raw_fd(),
        program_fd: program.as_raw_fd(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    let answer =
        // SAFETY: the kernel reads `size_of::<Attach>()` bytes of a live value and takes the rest of the union as zero.
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>()) };
    if answer == 0 { Ok(()) } else { Err(SysError::last("attach", "device program")) }
}

fn load(program: &[Insn]) -> Result<OwnedFd> {
    let license = c"Apache-2.0";
    let load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        program: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    // SAFETY: as above; the addresses inside point to slices that outlive the call, which only reads them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    match i32::try_from(fd) {
        // SAFETY: a fresh descriptor (always close-on-exec) that nobody else owns.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(SysError::last("load", format!("device program of {} instructions", program.len()))),
    }
}

fn compile(rules: &[DeviceRule]) -> Vec<Insn> {
    // struct bpf_cgroup_dev_ctx: access in the high half and kind in the low half of a word, major, minor.
    let field = |register, offset| Insn { offset, ..insn(LDX_W, register, SCRATCH, 0) };
    let mut program = vec![
        field(ACCESS, 0),
        field(MAJOR, 4),
        field(MINOR, 8),
        insn(MOV32_X, KIND, ACCESS, 0),
        insn(AND32_K, KIND, 0, 0xffff),
        insn(RSH32_K, ACCESS, 0, 16),
    ];
    for rule in rules.iter().rev() {
        let tests = tests(rule);
        program.extend(&tests);
        program.extend(answer(rule.allow));
        if tests.is_empty() {
            return program; // the verifier refuses what cannot be reached
        }
    }
    program.extend(answer(false));
    program
}

fn answer(allow: bool) -> [Insn; 2] {
    [insn(MOV32_K, ANSWER, 0, u32::from(allow)), insn(EXIT, 0, 0, 0)]
}

/// Jumps past the rule's answer where the request does not meet it. An allowing rule must hold all of the requested
/// access, for a denying one any of it is enough.
fn tests(rule: &DeviceRule) -> Vec<Insn> {
    let mut tests = Vec::new();
    match rule.kind {
        'b' => tests.push(insn(JNE32_K, KIND, 0, 1)),
        'c' => tests.push(insn(JNE32_K, KIND, 0, 2)),
        _ => {}
    }
    let bits = [('m', 1), ('r', 2), ('w', 4)];
    let access: u32 =
        bits.iter().filter(|(letter, _)| rule.access.contains(*letter)).map(|(_, bit)| bit).sum();
    if access != 7 {
        let misses =
            if rule.allow { insn(JNE32_X, SCRATCH, ACCESS, 0) } else { insn(JEQ32_K, SCRATCH, 0, 0) };
        tests.extend([insn(MOV32_X, SCRATCH, ACCESS, 0), insn(AND32_K, SCRATCH, 0, access), misses]);
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        tests.extend(number.map(|number| insn(JNE32_K, register, 0, number)));
    }
    let end = tests.len() + answer(true).len();
    for (at, test) in tests.iter_mut().enumerate() {
        if [JNE32_K, JNE32_X, JEQ32_K].contains(&test.code) {
            test.offset = i16::try_from(end - at - 1).unwrap_or(i16::MAX);
        }
    }
    tests
}
