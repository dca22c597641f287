//! System call numbers by name and architecture.

mod table;

use table::{NONE, Row, TABLE};

/// Set in the number of every x32 call (`__X32_SYSCALL_BIT` of asm/unistd.h).
pub const X32_BIT: u32 = 0x4000_0000;

/// One way to enter the kernel: a numbering of system calls. Several may share one `AUDIT_ARCH_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Abi {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86 (`int 0x80`).
    X86,
    /// x86_64 with 32-bit pointers; same audit architecture as [`Abi::X86_64`].
    X32,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm, EABI.
    Arm,
}

impl Abi {
    /// The native numbering of a machine, named as `uname -m` does.
    pub fn native(machine: &str) -> Option<Self> {
        match machine {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// `seccomp_data.arch`: `AUDIT_ARCH_*` of linux/audit.h.
    pub fn audit_arch(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Arguments are 64 bits wide. (x32 passes 64-bit registers too.)
    pub fn wide_arguments(self) -> bool {
        !matches!(self, Self::X86 | Self::Arm)
    }

    /// Number of a call as `seccomp_data.nr` shows it; `None`: this ABI has no such call.
    pub fn number(self, name: &str) -> Option<u32> {
        Call::named(name)?.number(self)
    }

    /// Name of a call by its number, to report a killed process.
    pub fn name(self, number: u32) -> Option<&'static str> {
        let plain = if self == Self::X32 { number.checked_sub(X32_BIT)? } else { number };
        TABLE.iter().find(|row| plain != NONE && row.numbers[self.column()] == plain).map(Row::name)
    }

    fn column(self) -> usize {
        self as usize
    }
}

/// A system call that some ABI has.
#[derive(Debug, Clone, Copy)]
pub struct Call(&'static [u32; 5]);

impl Call {
    /// `None`: no ABI has a call of this name.
    pub fn named(name: &str) -> Option<Self> {
        let row = TABLE.binary_search_by(|row| row.name().cmp(name)).ok()?;
        Some(Self(&TABLE[row].numbers))
    }

    /// Its number in one ABI, as `seccomp_data.nr` shows it.
    pub fn number(self, abi: Abi) -> Option<u32> {
        let number = self.0[abi.column()];
        let bit = if abi == Abi::X32 { X32_BIT } else { 0 };
        (number != NONE).then_some(number | bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Abi; 5] = [Abi::X86_64, Abi::X86, Abi::X32, Abi::Aarch64, Abi::Arm];

    #[test]
    fn table_is_sorted_and_numbers_are_unique() {
        assert!(TABLE.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        for abi in ALL {
            // One alias of the kernel's own: sync_file_range2 is arm_sync_file_range there.
            let plain = TABLE.iter().map(Row::name).filter(|name| *name != "arm_sync_file_range");
            let mut numbers: Vec<u32> = plain.filter_map(|name| abi.number(name)).collect();
            let before = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(before, numbers.len(), "{abi:?}");
            assert!(before > 300, "{abi:?}");
        }
    }

    #[test]
    fn names_and_numbers_are_inverse() {
        for abi in ALL {
            for name in TABLE.iter().map(Row::name) {
                if let Some(number) = abi.number(name) {
                    assert_eq!(abi.number(abi.name(number).unwrap()), Some(number));
                }
            }
        }
    }

    /// The kernel headers of the build machine, where it has them, know no number that differs.
    #[test]
    fn numbers_agree_with_the_headers() {
        let headers = [(Abi::X86_64, "unistd_64.h"), (Abi::X86, "unistd_32.h")];
        for (abi, file) in headers {
            let path = format!("/usr/include/x86_64-linux-gnu/asm/{file}");
            for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
                if let Some(define) = line.strip_prefix("#define __NR_") {
                    let (name, number) = define.split_once(' ').unwrap();
                    assert_eq!(abi.number(name), number.trim().parse().ok(), "{name}");
                }
            }
        }
    }

    /// Numbers from the manual pages and `asm-generic/unistd.h`, one or more of every kind.
    #[test]
    fn known_numbers() {
        assert_eq!(Abi::X86_64.number("read"), Some(0));
        assert_eq!(Abi::X86_64.number("execve"), Some(59));
        assert_eq!(Abi::X86.number("socketcall"), Some(102));
        assert_eq!(Abi::X32.number("read"), Some(X32_BIT));
        assert_eq!(Abi::X32.number("rt_sigaction"), Some(X32_BIT | 512));
        assert_eq!(Abi::Aarch64.number("openat"), Some(56));
        assert_eq!(Abi::Aarch64.number("open"), None);
        assert_eq!(Abi::Arm.number("set_tls"), Some(0xf_0005));
        for abi in ALL {
            let bit = abi.number("clone3").unwrap() & X32_BIT;
            let new = ["clone3", "openat2", "landlock_create_ruleset", "cachestat", "mseal", "file_setattr"];
            assert_eq!(new.map(|name| abi.number(name).unwrap() & !bit), [435, 437, 444, 451, 462, 469]);
        }
    }
}
