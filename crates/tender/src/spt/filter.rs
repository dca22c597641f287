//! The guest's whole view of the kernel: nine system calls (eight on aarch64), every descriptor pinned.
//!
//! The list is that of Solo5's `spt` tender, with one pin more: `epoll_pwait` takes no signal mask, or a guest could
//! block the stop signal. Everything else kills the process.

use crate::boot::{Attached, Kind};

/// One classic BPF instruction, as `struct sock_filter` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Insn {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// BPF_LD | BPF_W | BPF_ABS.
pub(crate) const LOAD: u16 = 0x20;
/// BPF_JMP | BPF_JA.
pub(crate) const JUMP: u16 = 0x05;
/// BPF_JMP | BPF_JEQ | BPF_K.
pub(crate) const EQUAL: u16 = 0x15;
/// BPF_JMP | BPF_JGT | BPF_K.
pub(crate) const GREATER: u16 = 0x25;
/// BPF_RET | BPF_K.
pub(crate) const RETURN: u16 = 0x06;
/// SECCOMP_RET_ALLOW.
pub(crate) const ALLOW: u32 = 0x7fff_0000;
/// SECCOMP_RET_KILL_PROCESS.
pub(crate) const KILL: u32 = 0x8000_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "x86_64")]
const ARCH_SET_FS: u64 = 0x1002;

/// A condition on one 64-bit argument, by its index.
#[derive(Debug, Clone, Copy)]
enum Test {
    Is(u32, u64),
    AtMost(u32, u64),
}

/// The program for these descriptors, to be installed as it is.
pub(crate) fn program(epoll_fd: i32, timer_fd: i32, devices: &[Attached]) -> Vec<Insn> {
    let fd = |fd: i32| Test::Is(0, u64::from(fd.unsigned_abs()));
    let nets = || devices.iter().filter(|d| matches!(d.kind, Kind::Net { .. })).map(|d| vec![fd(d.fd)]);
    let mut program = vec![load(ARCH), branch(EQUAL, AUDIT_ARCH, 1, 0), give(KILL), load(NUMBER)];
    let mut call = |number: libc::c_long, cases: &[Vec<Test>]| program.extend(rule(number, cases));
    // x32 calls have the same architecture but bit 30 in their number, so no rule matches them.
    call(libc::SYS_epoll_pwait, &[vec![fd(epoll_fd), Test::Is(4, 0)]]);
    call(libc::SYS_timerfd_settime, &[vec![fd(timer_fd)]]);
    call(libc::SYS_clock_gettime, &[vec![Test::Is(0, 0)], vec![Test::Is(0, 1)]]);
    call(libc::SYS_write, &std::iter::once(vec![fd(1)]).chain(nets()).collect::<Vec<_>>());
    call(libc::SYS_read, &nets().collect::<Vec<_>>());
    let sectors: Vec<Vec<Test>> = devices.iter().filter_map(sector).collect();
    call(libc::SYS_pread64, &sectors);
    call(libc::SYS_pwrite64, &sectors);
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_arch_prctl, &[vec![Test::Is(0, ARCH_SET_FS)]]);
    call(libc::SYS_exit_group, &[vec![]]);
    program.push(give(KILL));
    program
}

/// One sector of a block device, at an offset that leaves room for it.
fn sector(device: &Attached) -> Option<Vec<Test>> {
    let Kind::Block { capacity, sector_size } = device.kind else { return None };
    let size = u64::from(sector_size);
    let fd = Test::Is(0, u64::from(device.fd.unsigned_abs()));
    Some(vec![fd, Test::Is(2, size), Test::AtMost(3, capacity.saturating_sub(size))])
}

/// Allows `number` in each of the cases; empty when there is none, so that the call ends at the final kill.
fn rule(number: libc::c_long, cases: &[Vec<Test>]) -> Vec<Insn> {
    if cases.is_empty() {
        return Vec::new();
    }
    let mut body: Vec<Insn> = cases.iter().flat_map(|tests| case(tests)).collect();
    if !cases.iter().any(Vec::is_empty) {
        body.push(give(KILL));
    }
    // A body can be longer than the 255 instructions of a conditional jump.
    let over = Insn { code: JUMP, jt: 0, jf: 0, k: u32::try_from(body.len()).unwrap_or(u32::MAX) };
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    [branch(EQUAL, number, 1, 0), over].into_iter().chain(body).collect()
}

/// Tests that all hold and an allow; a failed test jumps behind it.
fn case(tests: &[Test]) -> Vec<Insn> {
    let mut code = vec![give(ALLOW)];
    for test in tests.iter().rev() {
        // Little endian: the low half is first. `rest` is what a failure skips once a test's own code is past.
        let rest = u8::try_from(code.len()).unwrap_or(u8::MAX);
        let halves = |argument: u32| (load(ARGUMENTS + 8 * argument), load(ARGUMENTS + 8 * argument + 4));
        let split = |value: u64| ((value & 0xffff_ffff) as u32, (value >> 32) as u32);
        let head = match *test {
            Test::Is(argument, value) => {
                let ((low, high), (low_value, high_value)) = (halves(argument), split(value));
                vec![high, branch(EQUAL, high_value, 0, rest + 2), low, branch(EQUAL, low_value, 0, rest)]
            }
            Test::AtMost(argument, value) => {
                let ((low, high), (low_value, high_value)) = (halves(argument), split(value));
                let above = branch(GREATER, high_value, rest + 3, 0);
                let below = branch(EQUAL, high_value, 0, 2);
                vec![high, above, below, low, branch(GREATER, low_value, rest, 0)]
            }
        };
        code.splice(0..0, head);
    }
    code
}

fn load(offset: u32) -> Insn {
    Insn { code: LOAD, jt: 0, jf: 0, k: offset }
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Insn {
    Insn { code, jt, jf, k }
}

fn give(k: u32) -> Insn {
    Insn { code: RETURN, jt: 0, jf: 0, k }
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

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
