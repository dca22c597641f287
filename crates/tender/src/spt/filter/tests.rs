//! The filter against a second statement of the rule, `calls.txt`: all of it on an interpreter, for both architectures,
//! and as much as a fork for each call allows on the kernel that is here.

mod kernel;
mod table;

use urunc_plan::bpf::{MAX_LEN, SeccompData, ret, run};
use urunc_plan::syscalls::X32_BIT;

use super::*;
use table::{Table, values};

const EPOLL: i32 = 1009;
const TIMER: i32 = 1010;
const NET: i32 = 1007;
const DISK: i32 = 1008;
const SECTOR: u16 = 512;
const CAPACITY: u64 = 0x1_0000_0400;
/// The largest numbers of any architecture are below.
const NUMBERS: u32 = 1024;

/// What the kernel hands to a filter.
fn call(nr: u32, arch: u32, args: [u64; 6]) -> SeccompData {
    SeccompData { nr, arch, args, ..SeccompData::default() }
}

fn net(name: &str, fd: i32) -> Attached {
    Attached { name: name.to_owned(), fd, kind: Kind::Net { mac: [2, 0, 0, 0, 0, 1], mtu: 1500 } }
}

fn disk(name: &str, fd: i32, capacity: u64) -> Attached {
    Attached { name: name.to_owned(), fd, kind: Kind::Block { capacity, sector_size: SECTOR } }
}

/// The program that `calls.txt` speaks of.
fn sample(abi: Abi) -> Vec<Insn> {
    program(abi, EPOLL, TIMER, &[net("service", NET), disk("storage", DISK, CAPACITY)])
}

/// Calls of one architecture on the interpreter, and what they must answer.
struct Check {
    abi: Abi,
    program: Vec<Insn>,
    table: Table,
    allowed: usize,
}

impl Check {
    fn new(abi: Abi) -> Self {
        Self { abi, program: sample(abi), table: Table::of(abi), allowed: 0 }
    }

    fn call(&mut self, number: u32, args: [u64; 6]) {
        let expected = if self.table.allows(number, &args) { ret::ALLOW } else { ret::KILL_PROCESS };
        let got = run(&self.program, &call(number, self.abi.audit_arch(), args));
        assert_eq!(got, expected, "{:?} call {number} with {args:x?}", self.abi);
        self.allowed += usize::from(expected == ret::ALLOW);
    }
}

#[test]
fn every_number_with_every_class_of_each_argument() {
    for abi in [Abi::X86_64, Abi::Aarch64] {
        let mut check = Check::new(abi);
        let vectors = check.table.vectors(&values());
        for number in 0..NUMBERS {
            for args in &vectors {
                check.call(number, *args);
            }
        }
        assert!(check.allowed > 1000, "{}", check.allowed);
    }
}

#[test]
fn listed_calls_with_every_pair_of_classes() {
    for abi in [Abi::X86_64, Abi::Aarch64] {
        let mut check = Check::new(abi);
        let values = values();
        for (number, good) in check.table.good_calls() {
            for first in 0..6 {
                for second in first + 1..6 {
                    for &a in &values {
                        for &b in &values {
                            let mut args = good;
                            (args[first], args[second]) = (a, b);
                            check.call(number, args);
                        }
                    }
                }
            }
        }
        assert!(check.allowed > 1000, "{}", check.allowed);
    }
}

/// x32 calls have their bit in the number; the bits beside it belong to nobody.
#[test]
fn numbers_outside_of_the_table_of_calls() {
    for abi in [Abi::X86_64, Abi::Aarch64] {
        let mut check = Check::new(abi);
        let good: Vec<[u64; 6]> = check.table.good_calls().into_iter().map(|(_, args)| args).collect();
        let bits = (10..32).flat_map(|bit| (0..NUMBERS).map(move |number| number | 1 << bit));
        for number in bits.chain((0..NUMBERS).map(|number| u32::MAX - number)) {
            for args in &good {
                check.call(number, *args);
            }
        }
        assert_eq!(check.allowed, 0);
    }
}

#[test]
fn other_architectures_are_killed() {
    // i386, arm, x86_64, aarch64, arm64 big endian, riscv64, none, and x86_64 without its 64-bit mark.
    let archs =
        [0x4000_0003, 0x4000_0028, 0xc000_003e, 0xc000_00b7, 0x8000_00b7, 0xc000_00f3, 0, 0x4000_003e];
    for abi in [Abi::X86_64, Abi::Aarch64] {
        let (program, table) = (sample(abi), Table::of(abi));
        for arch in archs.into_iter().filter(|arch| *arch != abi.audit_arch()) {
            for number in (0..NUMBERS).chain((0..NUMBERS).map(|n| n | X32_BIT)).chain([u32::MAX]) {
                for (_, args) in table.good_calls() {
                    let answer = run(&program, &call(number, arch, args));
                    assert_eq!(answer, ret::KILL_PROCESS, "call {number} of {arch:#x}");
                }
            }
        }
    }
}

/// The promise of the documentation: nine calls, eight on aarch64, in at most 120 instructions.
#[test]
fn the_filter_is_small() {
    for (abi, calls) in [(Abi::X86_64, 9), (Abi::Aarch64, 8)] {
        assert_eq!(Table::of(abi).numbers().len(), calls, "{abi:?}");
        let length = sample(abi).len();
        assert!(length <= 120, "{abi:?}: {length}");
    }
}

#[test]
fn without_devices_there_is_no_read() {
    let program = program(ABI, EPOLL, TIMER, &[]);
    for name in ["read", "pread64", "pwrite64"] {
        for first in values() {
            let call = call(ABI.number(name).unwrap(), ABI.audit_arch(), [first; 6]);
            assert_eq!(run(&program, &call), ret::KILL_PROCESS);
        }
    }
}

/// Every device has its own limits, and the kernel takes at most 4096 instructions.
#[test]
fn sixty_three_devices_fit() {
    let disks: Vec<Attached> = (0..63).map(|n| disk("d", 20 + n, 512 << (n % 40))).collect();
    let program = program(ABI, EPOLL, TIMER, &disks);
    assert!(program.len() <= MAX_LEN, "{}", program.len());
    for (n, disk) in (0..63).zip(&disks) {
        let last = (512u64 << (n % 40)) - 512;
        let number = ABI.number("pwrite64").unwrap();
        let fd = u64::from(disk.fd.unsigned_abs());
        let give = |offset| run(&program, &call(number, ABI.audit_arch(), [fd, 0, 512, offset, 0, 0]));
        assert_eq!((give(last), give(last + 1)), (ret::ALLOW, ret::KILL_PROCESS), "disk {n}");
    }
    let nets: Vec<Attached> = (0..63).map(|n| net("n", 20 + n)).collect();
    assert!(super::program(ABI, EPOLL, TIMER, &nets).len() <= MAX_LEN);
}
