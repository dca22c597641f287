//! Programs run as the kernel would: what the tests compare with.

use super::{AND, ARCH, Insn, JA, JEQ, JGE, JGT, LD, NR, RET, ret};

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
    use crate::bpf::stmt;

    #[test]
    fn a_bad_program_kills() {
        assert_eq!(run(&[], &SeccompData::default()), ret::KILL_PROCESS);
        assert_eq!(run(&[stmt(LD, 64), stmt(RET, ret::ALLOW)], &SeccompData::default()), ret::KILL_PROCESS);
    }
}
