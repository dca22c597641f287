//! The filters against a second statement of their rules, `spt.txt` and `hvt.txt`: all of it on an interpreter, for both
//! architectures, and as much as a fork for each call allows on the kernel that is here.

mod kernel;
mod table;

use urunc_plan::bpf::{MAX_LEN, SeccompData, ret, run};
use urunc_plan::syscalls::X32_BIT;

use super::*;
use crate::hvt::filter::{Own, program as hvt};
use crate::spt::filter::program as spt;
use table::Table;

const EPOLL: i32 = 1009;
const TIMER: i32 = 1010;
const PROCESSOR: i32 = 1011;
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

/// One of the filters, and where its rules are stated again.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Spt,
    Hvt,
}

const SUBJECTS: [Subject; 2] = [Subject::Spt, Subject::Hvt];

impl Subject {
    fn text(self) -> &'static str {
        match self {
            Self::Spt => include_str!("spt.txt"),
            Self::Hvt => include_str!("hvt.txt"),
        }
    }

    fn program(self, abi: Abi, devices: &[Attached]) -> Vec<Insn> {
        let own = Own { processor: PROCESSOR, epoll: EPOLL, timer: TIMER };
        match self {
            Self::Spt => spt(abi, EPOLL, TIMER, devices),
            Self::Hvt => hvt(abi, own, devices),
        }
    }

    /// The program that the text speaks of.
    fn sample(self, abi: Abi) -> Vec<Insn> {
        self.program(abi, &[net("service", NET), disk("storage", DISK, CAPACITY)])
    }
}

/// Every filter on every architecture.
fn all() -> impl Iterator<Item = (Subject, Abi)> {
    SUBJECTS.into_iter().flat_map(|subject| [Abi::X86_64, Abi::Aarch64].map(|abi| (subject, abi)))
}

/// Calls of one architecture on the interpreter, and what they must answer.
struct Check {
    abi: Abi,
    program: Vec<Insn>,
    table: Table,
    allowed: usize,
}

impl Check {
    fn new(subject: Subject, abi: Abi) -> Self {
        Self { abi, program: subject.sample(abi), table: Table::of(subject, abi), allowed: 0 }
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
    for (subject, abi) in all() {
        let mut check = Check::new(subject, abi);
        let vectors = check.table.vectors();
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
    for (subject, abi) in all() {
        let mut check = Check::new(subject, abi);
        let values = check.table.values();
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
    for (subject, abi) in all() {
        let mut check = Check::new(subject, abi);
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
    for (subject, abi) in all() {
        let (program, table) = (subject.sample(abi), Table::of(subject, abi));
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

/// The promise of the documentation: nine calls, one less on aarch64 for spt, in few instructions.
#[test]
fn the_filters_are_small() {
    for (subject, abi) in all() {
        let (calls, most) = match (subject, abi) {
            (Subject::Spt, Abi::X86_64) => (9, 120),
            (Subject::Spt, _) => (8, 120),
            (Subject::Hvt, _) => (9, 160),
        };
        assert_eq!(Table::of(subject, abi).numbers().len(), calls, "{subject:?} {abi:?}");
        let length = subject.sample(abi).len();
        assert!(length <= most, "{subject:?} {abi:?}: {length}");
    }
}

#[test]
fn without_devices_there_is_no_read() {
    for subject in SUBJECTS {
        let program = subject.program(ABI, &[]);
        for name in ["read", "pread64", "pwrite64"] {
            for first in Table::of(subject, ABI).values() {
                let call = call(ABI.number(name).unwrap(), ABI.audit_arch(), [first; 6]);
                assert_eq!(run(&program, &call), ret::KILL_PROCESS);
            }
        }
    }
}

/// Every device has its own limits, and the kernel takes at most 4096 instructions.
#[test]
fn sixty_three_devices_fit() {
    for subject in SUBJECTS {
        let disks: Vec<Attached> = (0..63).map(|n| disk("d", 20 + n, 512 << (n % 40))).collect();
        let program = subject.program(ABI, &disks);
        assert!(program.len() <= MAX_LEN, "{}", program.len());
        for (n, disk) in (0..63).zip(&disks) {
            let last = (512u64 << (n % 40)) - 512;
            let number = ABI.number("pwrite64").unwrap();
            let fd = u64::from(disk.fd.unsigned_abs());
            let give = |offset| run(&program, &call(number, ABI.audit_arch(), [fd, 0, 512, offset, 0, 0]));
            assert_eq!((give(last), give(last + 1)), (ret::ALLOW, ret::KILL_PROCESS), "disk {n}");
        }
        let nets: Vec<Attached> = (0..63).map(|n| net("n", 20 + n)).collect();
        assert!(subject.program(ABI, &nets).len() <= MAX_LEN);
    }
}
