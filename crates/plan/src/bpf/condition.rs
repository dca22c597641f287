//! Conditions on the arguments of a call: 64-bit comparisons made of 32-bit ones.

use super::{AND, Insn, JEQ, JGE, JGT, LD, RET, jump, stmt};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::{SeccompData, ret, run};

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
}
