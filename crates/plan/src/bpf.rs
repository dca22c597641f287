//! Classic BPF as seccomp(2) takes it: instructions, decision trees, and an interpreter that tests compare with.
//!
//! Programs are built bottom up from pieces that end in `RET` on every path, so a jump is always to a known distance
//! and no label has to be resolved later.

mod condition;
mod interpreter;

pub use condition::{Cond, Op, rule};
pub use interpreter::{SeccompData, run};

/// One instruction; the fields of `struct sock_filter` (linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a test holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A ← 32-bit word of `seccomp_data` at offset k.
pub const LD: u16 = 0x20;
/// A ← A & k.
pub const AND: u16 = 0x54;
/// Skip k instructions.
pub const JA: u16 = 0x05;
/// A == k?
pub const JEQ: u16 = 0x15;
/// A > k?
pub const JGT: u16 = 0x25;
/// A ≥ k?
pub const JGE: u16 = 0x35;
/// The answer is k.
pub const RET: u16 = 0x06;

/// Offset of `seccomp_data.nr`.
pub const NR: u32 = 0;
/// Offset of `seccomp_data.arch`.
pub const ARCH: u32 = 4;
/// Longest program the kernel takes (`BPF_MAXINSNS`).
pub const MAX_LEN: usize = 4096;

/// Answers of a filter (`SECCOMP_RET_*`, seccomp(2)).
pub mod ret {
    /// SIGSYS for the whole process, not catchable.
    pub const KILL_PROCESS: u32 = 0x8000_0000;
    /// SIGSYS for the calling thread, not catchable.
    pub const KILL_THREAD: u32 = 0;
    /// SIGSYS, catchable.
    pub const TRAP: u32 = 0x0003_0000;
    /// The call fails; the low 16 bits are the errno.
    pub const ERRNO: u32 = 0x0005_0000;
    /// A tracer decides; the low 16 bits are its message.
    pub const TRACE: u32 = 0x7ff0_0000;
    /// Allowed and logged.
    pub const LOG: u32 = 0x7ffc_0000;
    /// Allowed.
    pub const ALLOW: u32 = 0x7fff_0000;
}

/// A statement: load, and, return, unconditional jump.
pub fn stmt(code: u16, k: u32) -> Insn {
    Insn { code, jt: 0, jf: 0, k }
}

/// A conditional jump over `jt` or `jf` instructions.
pub fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Insn {
    Insn { code, jt, jf, k }
}

/// `if A <test> k { yes } else { no }`, at any length; `yes` must end in `RET` on every path.
pub fn branch(test: u16, k: u32, yes: Vec<Insn>, no: Vec<Insn>) -> Vec<Insn> {
    let mut program = Vec::with_capacity(yes.len() + no.len() + 2);
    if let Ok(skip) = u8::try_from(yes.len()) {
        program.push(jump(test, k, 0, skip));
    } else {
        program.push(jump(test, k, 1, 0));
        // A program has at most MAX_LEN instructions, else it is refused as a whole.
        program.push(stmt(JA, u32::try_from(yes.len()).unwrap_or(u32::MAX)));
    }
    program.extend(yes);
    program.extend(no);
    program
}

/// Binary search for A among intervals sorted by their first value; the first one must begin at 0. What `body` makes of
/// an interval must end in `RET` on every path.
pub fn search<T>(intervals: &[(u32, T)], body: &impl Fn(&T) -> Vec<Insn>) -> Vec<Insn> {
    match intervals {
        [] => Vec::new(),
        [(_, only)] => body(only),
        _ => {
            let (low, high) = intervals.split_at(intervals.len() / 2);
            branch(JGE, high[0].0, search(high, body), search(low, body))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_crosses_long_distances() {
        let intervals: Vec<_> = (0..900).map(|n| (n * 2, n)).collect();
        let mut program = vec![stmt(LD, NR)];
        program.extend(search(&intervals, &|n| vec![stmt(RET, *n)]));
        for nr in 0..1800 {
            assert_eq!(run(&program, &SeccompData { nr, ..Default::default() }), nr / 2);
        }
    }
}
