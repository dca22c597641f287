//! The filter on an interpreter, against a second statement of the rule.

use urunc_plan::bpf::{MAX_LEN, SeccompData, ret, run};

use super::*;

const EPOLL: i32 = 9;
const TIMER: i32 = 10;
const NET: i32 = 7;
const DISK: i32 = 8;
const CAPACITY: u64 = 0x1_0000_0400;

/// What the kernel hands to a filter.
fn call(nr: u32, arch: u32, args: [u64; 6]) -> SeccompData {
    SeccompData { nr, arch, args, ..SeccompData::default() }
}

fn net(name: &str, fd: i32) -> Attached {
    Attached { name: name.to_owned(), fd, kind: Kind::Net { mac: [2, 0, 0, 0, 0, 1], mtu: 1500 } }
}

fn disk(name: &str, fd: i32, capacity: u64) -> Attached {
    Attached { name: name.to_owned(), fd, kind: Kind::Block { capacity, sector_size: 512 } }
}

fn sample() -> Vec<Insn> {
    program(EPOLL, TIMER, &[net("service", NET), disk("storage", DISK, CAPACITY)])
}

/// The rule in words of its own.
fn allowed(number: i64, a: &[u64; 6]) -> bool {
    let is = |argument: u64, fd: i32| argument == u64::from(fd.unsigned_abs());
    match number {
        libc::SYS_write => a[0] == 1 || is(a[0], NET),
        libc::SYS_read => is(a[0], NET),
        libc::SYS_pread64 | libc::SYS_pwrite64 => is(a[0], DISK) && a[2] == 512 && a[3] <= CAPACITY - 512,
        libc::SYS_epoll_pwait => is(a[0], EPOLL) && a[4] == 0,
        libc::SYS_timerfd_settime => is(a[0], TIMER),
        libc::SYS_clock_gettime => a[0] <= 1,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_arch_prctl => a[0] == 0x1002,
        libc::SYS_exit_group => true,
        _ => false,
    }
}

/// Borders of every test, and the same with a bit of the other half set.
fn values() -> Vec<u64> {
    let borders =
        [0, 1, 2, 3, 7, 8, 9, 10, 11, 511, 512, 513, 0x1001, 0x1002, CAPACITY - 513, CAPACITY - 512];
    let mut values = borders.to_vec();
    values.extend([CAPACITY - 511, CAPACITY, 0x400, u64::from(u32::MAX), 1 << 31, 1 << 63, u64::MAX]);
    values.extend(borders.map(|value| value | 1 << 32));
    values.extend(borders.map(|value| value | 1 << 63));
    values
}

#[test]
fn exactly_the_rule_is_allowed() {
    let (program, values) = (sample(), values());
    let mut passed = 0;
    let mut check = |number: u32, arguments: [u64; 6]| {
        let expected = if allowed(number.into(), &arguments) { ret::ALLOW } else { ret::KILL_PROCESS };
        let call = call(number, ABI.audit_arch(), arguments);
        assert_eq!(run(&program, &call), expected, "call {number} with {arguments:x?}");
        passed += usize::from(expected == ret::ALLOW);
    };
    for number in (0..2048).chain((0..2048).map(|n| n | 1 << 30)).chain([1 << 31, u32::MAX]) {
        for &first in &values {
            check(number, [first, 0, 512, 0, 0, 0]);
            check(number, [first, u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX]);
        }
    }
    for number in [libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_epoll_pwait] {
        let number = u32::try_from(number).unwrap();
        for &first in &values {
            for &third in &values {
                for &fourth in &values {
                    check(number, [first, 7, third, fourth, 0, 9]);
                }
            }
            for &fifth in &values {
                check(number, [first, 7, 512, 0, fifth, 9]);
            }
        }
    }
    assert!(passed > 100, "{passed}");
}

#[test]
fn other_architectures_are_killed() {
    let program = sample();
    // i386, arm, x86_64 and aarch64, riscv64, none.
    for arch in [0x4000_0003, 0x4000_0028, 0xc000_003e, 0xc000_00b7, 0xc000_00f3, 0] {
        for number in 0..512 {
            let call = call(number, arch, [1, 0, 512, 0, 0, 0]);
            assert!(
                arch == ABI.audit_arch() || run(&program, &call) == ret::KILL_PROCESS,
                "call {number} of {arch:#x}"
            );
        }
    }
}

#[test]
fn without_devices_there_is_no_read() {
    let program = program(EPOLL, TIMER, &[]);
    for number in [libc::SYS_read, libc::SYS_pread64, libc::SYS_pwrite64] {
        for first in values() {
            let call = call(u32::try_from(number).unwrap(), ABI.audit_arch(), [first; 6]);
            assert_eq!(run(&program, &call), ret::KILL_PROCESS);
        }
    }
}

/// Every device has its own limits, and the kernel takes at most 4096 instructions.
#[test]
fn sixty_three_devices_fit() {
    let disks: Vec<Attached> = (0..63).map(|n| disk("d", 20 + n, 512 << (n % 40))).collect();
    let program = program(EPOLL, TIMER, &disks);
    assert!(program.len() <= MAX_LEN, "{}", program.len());
    for (n, disk) in (0..63).zip(&disks) {
        let last = (512u64 << (n % 40)) - 512;
        let number = u32::try_from(libc::SYS_pwrite64).unwrap();
        let fd = u64::from(disk.fd.unsigned_abs());
        let give = |offset| run(&program, &call(number, ABI.audit_arch(), [fd, 0, 512, offset, 0, 0]));
        assert_eq!((give(last), give(last + 1)), (ret::ALLOW, ret::KILL_PROCESS), "disk {n}");
    }
    let nets: Vec<Attached> = (0..63).map(|n| net("n", 20 + n)).collect();
    assert!(super::program(EPOLL, TIMER, &nets).len() <= MAX_LEN);
}

#[test]
fn the_filter_stays_small() {
    assert!(program(EPOLL, TIMER, &[]).len() <= 64);
    assert!(sample().len() <= 96);
}
