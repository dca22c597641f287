//! Classic BPF as seccomp(2) takes it: instructions, decision trees, and an interpreter that tests compare with.
//!
//! Programs are built bottom up from pieces that end in `RET` on every path, so a jump is always to a known distance
//! and no label has to be resolved later.

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

/// What a filter sees of a call: `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeccompData {
    /// Number of the call.
    pub nr: u32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Address of the call instruction.
    pub ip: u64,
    /// Arguments, as the registers hold them.
    pub args: [u64; 6],
}

impl SeccompData {
    /// The aligned 32-bit word at a byte offset, little-endian as every architecture served here.
    fn word(&self, offset: u32) -> Option<u32> {
        #[allow(clippy::cast_possible_truncation)] // the halves of a 64-bit field
        let half = |value: u64| if offset.is_multiple_of(8) { value as u32 } else { (value >> 32) as u32 };
        match offset {
            NR => Some(self.nr),
            ARCH => Some(self.arch),
            8 | 12 => Some(half(self.ip)),
            16..64 if offset.is_multiple_of(4) => Some(half(self.args[(offset as usize - 16) / 8])),
            _ => None,
        }
    }
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

/// How an argument is compared with [`Cond::value`], unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>=`
    Ge,
    /// `>`
    Gt,
    /// `argument & mask == value & mask`
    MaskedEq(u64),
}

/// A condition on one 64-bit argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cond {
    /// Index, 0 to 5.
    pub arg: u8,
    /// Comparison.
    pub op: Op,
    /// Right-hand side.
    pub value: u64,
}

/// Where a comparison ends.
#[derive(Clone, Copy)]
enum Goal {
    Next,
    Pass,
    Fail,
}

impl Cond {
    /// Appends the comparison: falls through to its end when it holds, else leaves a jump to patch: `fails` collects
    /// (instruction, is it the `jt` side?).
    fn emit(&self, program: &mut Vec<Insn>, fails: &mut Vec<(usize, bool)>) {
        use Goal::{Fail, Next, Pass};
        let (mask, negate) = match self.op {
            Op::MaskedEq(mask) => (mask, false),
            op => (u64::MAX, matches!(op, Op::Ne | Op::Lt | Op::Le)),
        };
        let (yes, no) = if negate { (Fail, Pass) } else { (Pass, Fail) };
        // Each op is one of three tests or its negation: ==, >, >=. Only the low word decides a tie of the high ones.
        let (high, low): (&[(u16, Goal, Goal)], _) = match self.op {
            Op::Eq | Op::Ne | Op::MaskedEq(_) => (&[(JEQ, Next, no)], JEQ),
            Op::Gt | Op::Le => (&[(JGT, yes, Next), (JEQ, Next, no)], JGT),
            Op::Ge | Op::Lt => (&[(JGT, yes, Next), (JEQ, Next, no)], JGE),
        };
        let offset = 16 + 8 * u32::from(self.arg);
        let value = self.value & mask;
        let low: &[_] = &[(low, yes, no)];
        #[allow(clippy::cast_possible_truncation)] // the low half
        let words =
            [(4, (value >> 32) as u32, (mask >> 32) as u32, high), (0, value as u32, mask as u32, low)];
        let mut passes = Vec::new();
        for (at, value, mask, tests) in words {
            program.push(stmt(LD, offset + at));
            if mask != u32::MAX {
                program.push(stmt(AND, mask));
            }
            for &(test, then, otherwise) in tests {
                for (goal, side) in [(then, true), (otherwise, false)] {
                    match goal {
                        Next => {}
                        Pass => passes.push((program.len(), side)),
                        Fail => fails.push((program.len(), side)),
                    }
                }
                program.push(jump(test, value, 0, 0));
            }
        }
        land_here(program, &passes);
    }
}

/// Lets the jumps go to the end of the program. A rule is at most 50 instructions long, so 8 bits do.
fn land_here(program: &mut [Insn], jumps: &[(usize, bool)]) {
    let end = program.len();
    for &(from, side) in jumps {
        let skip = u8::try_from(end - from - 1).unwrap_or(u8::MAX);
        if side {
            program[from].jt = skip;
        } else {
            program[from].jf = skip;
        }
    }
}

/// `if every condition holds { return answer }`, else falls through. At most one condition for each argument.
pub fn rule(conds: &[Cond], answer: u32) -> Vec<Insn> {
    let (mut program, mut fails) = (Vec::new(), Vec::new());
    for cond in conds {
        cond.emit(&mut program, &mut fails);
    }
    program.push(stmt(RET, answer));
    land_here(&mut program, &fails);
    program
}

/// Runs a program as the kernel would. A program that the kernel's checker refuses answers KILL_PROCESS.
pub fn run(program: &[Insn], data: &SeccompData) -> u32 {
    let (mut a, mut pc) = (0, 0);
    while let Some(insn) = program.get(pc) {
        pc += 1;
        let holds = match insn.code {
            LD => match data.word(insn.k) {
                Some(word) => {
                    a = word;
                    continue;
                }
                None => break,
            },
            AND => {
                a &= insn.k;
                continue;
            }
            JA => {
                pc += insn.k as usize;
                continue;
            }
            RET => return insn.k,
            JEQ => a == insn.k,
            JGT => a > insn.k,
            JGE => a >= insn.k,
            _ => break,
        };
        pc += usize::from(if holds { insn.jt } else { insn.jf });
    }
    ret::KILL_PROCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(conds: &[Cond], args: [u64; 6]) -> bool {
        let mut program = rule(conds, ret::ALLOW);
        program.push(stmt(RET, ret::TRAP));
        run(&program, &SeccompData { args, ..Default::default() }) == ret::ALLOW
    }

    #[test]
    fn every_operator_at_the_edges_of_both_words() {
        let edges =
            [0, 1, 7, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0007, 0x7_0000_0001, u64::MAX - 1, u64::MAX];
        for value in edges {
            for arg in edges {
                let mut args = [0; 6];
                args[5] = arg;
                let check = |op, expected| {
                    assert_eq!(
                        answer(&[Cond { arg: 5, op, value }], args),
                        expected,
                        "{arg:#x} {op:?} {value:#x}"
                    );
                };
                check(Op::Eq, arg == value);
                check(Op::Ne, arg != value);
                check(Op::Lt, arg < value);
                check(Op::Le, arg <= value);
                check(Op::Ge, arg >= value);
                check(Op::Gt, arg > value);
                for mask in edges {
                    check(Op::MaskedEq(mask), arg & mask == value & mask);
                }
            }
        }
    }

    #[test]
    fn conditions_are_joined_by_and() {
        let conds: Vec<Cond> = (0..6).map(|arg| Cond { arg, op: Op::Le, value: u64::from(arg) }).collect();
        assert!(answer(&conds, [0, 1, 2, 3, 4, 5]));
        for arg in 0..6 {
            let mut args = [0; 6];
            args[arg] = arg as u64 + 1;
            assert!(!answer(&conds, args));
        }
    }

    #[test]
    fn search_crosses_long_distances() {
        let intervals: Vec<_> = (0..900).map(|n| (n * 2, n)).collect();
        let mut program = vec![stmt(LD, NR)];
        program.extend(search(&intervals, &|n| vec![stmt(RET, *n)]));
        for nr in 0..1800 {
            assert_eq!(run(&program, &SeccompData { nr, ..Default::default() }), nr / 2);
        }
    }

    #[test]
    fn a_bad_program_kills() {
        assert_eq!(run(&[], &SeccompData::default()), ret::KILL_PROCESS);
        assert_eq!(run(&[stmt(LD, 64), stmt(RET, ret::ALLOW)], &SeccompData::default()), ret::KILL_PROCESS);
    }
}
