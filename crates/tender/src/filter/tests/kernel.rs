//! The filter in the kernel: each call is made by a child of its own, whose end shows what the kernel thought of it.
#![cfg(target_arch = "x86_64")]

use std::arch::asm;

use super::table::Table;
use super::{ABI, Abi, EPOLL, Insn, NUMBERS, SUBJECTS, Subject, X32_BIT, in_place, ret};
use urunc_plan::bpf::{RET, stmt};

const EXIT_GROUP: u64 = libc::SYS_exit_group.unsigned_abs();
/// What a child ends with when its call came back, and when the filter could not be installed.
const RETURNED: i32 = 7;
const BROKEN: i32 = 9;
/// Nobody: a call that a wrong filter lets through shall not hurt the host.
const NOBODY: u64 = 65534;

/// How a child enters the kernel.
#[derive(Debug, Clone, Copy)]
enum Entry {
    /// The instruction `syscall`; the whole of rax.
    Syscall(u64),
    /// `int 0x80`, the entry of i386.
    Int80(u32),
}

/// A program as seccomp(2) takes it.
struct Installable(Vec<u8>);

impl Installable {
    fn new(program: &[Insn]) -> Self {
        Self(in_place(program))
    }

    fn sample(subject: Subject) -> Self {
        Self::new(&subject.sample(ABI))
    }

    /// The signal that ends a child which makes this call behind the filter; 0 when it lives on.
    fn fate(&self, entry: Entry, args: [u64; 6]) -> i32 {
        let mut status = 0;
        // SAFETY: the child makes raw system calls only, which is all that a fork of one of many threads may do.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                self.make(entry, args);
            }
            assert!(pid > 0 && libc::waitpid(pid, &raw mut status, 0) == pid);
        }
        let code = libc::WEXITSTATUS(status);
        assert!(libc::WIFSIGNALED(status) || code != BROKEN, "{entry:x?} {args:x?}: {status:#x}");
        if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 }
    }

    /// # Safety
    /// Only in a child that is about to end.
    unsafe fn make(&self, entry: Entry, args: [u64; 6]) -> ! {
        let program = self.0.as_ptr().addr() as u64;
        let setup: [(i64, [u64; 6]); 5] = [
            (libc::SYS_close_range, [0, u64::from(u32::MAX), 0, 0, 0, 0]),
            (libc::SYS_setresgid, [NOBODY, NOBODY, NOBODY, 0, 0, 0]),
            (libc::SYS_setresuid, [NOBODY, NOBODY, NOBODY, 0, 0, 0]),
            (libc::SYS_prctl, [38, 1, 0, 0, 0, 0]), // PR_SET_NO_NEW_PRIVS
            (libc::SYS_seccomp, [1, 0, program, 0, 0, 0]), // SECCOMP_SET_MODE_FILTER
        ];
        // SAFETY: the calls change nothing but this child.
        unsafe {
            let mut last = 0;
            for (number, args) in setup {
                last = syscall(number.unsigned_abs(), args);
            }
            if last != 0 {
                syscall(EXIT_GROUP, [u64::from(BROKEN.unsigned_abs()); 6]);
            }
            match entry {
                Entry::Syscall(number) => drop(syscall(number, args)),
                Entry::Int80(number) => int80(number, args),
            }
            loop {
                syscall(EXIT_GROUP, [u64::from(RETURNED.unsigned_abs()); 6]);
            }
        }
    }
}

/// # Safety
/// As of the call.
#[inline(never)]
unsafe fn syscall(number: u64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the caller's.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") args[0], in("rsi") args[1],
             in("rdx") args[2], in("r10") args[3], in("r8") args[4], in("r9") args[5],
             lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// # Safety
/// As of the call. The sixth argument, in ebp, stays what it is.
#[inline(never)]
unsafe fn int80(number: u32, args: [u64; 6]) {
    // SAFETY: the caller's; rbx, which the compiler keeps for itself, is put back.
    unsafe {
        asm!("xchg rbx, {a}", "int 0x80", "xchg rbx, {a}", a = inout(reg) args[0] => _,
             inlateout("eax") number => _, in("rcx") args[1], in("rdx") args[2], in("rsi") args[3],
             in("rdi") args[4], lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _);
    }
}

/// Checks one call of the native entry; returns whether the filter let it through.
fn check(filter: &Installable, table: &Table, rax: u64, args: [u64; 6]) -> bool {
    // The kernel takes the lower half of rax.
    let number = u32::try_from(rax & u64::from(u32::MAX)).unwrap();
    let fate = filter.fate(Entry::Syscall(rax), args);
    let allowed = table.allows(number, &args);
    let expected = if allowed { 0 } else { libc::SIGSYS };
    assert!(fate == expected || table.unfiltered.contains(&number), "{rax:#x} {args:x?}: signal {fate}");
    allowed
}

#[test]
fn listed_calls_with_every_class_of_each_argument() {
    for subject in SUBJECTS {
        let (filter, table) = (Installable::sample(subject), Table::of(subject, ABI));
        let mut allowed = 0;
        for (number, good) in table.good_calls() {
            for arg in 0..6 {
                for value in table.values() {
                    let mut args = good;
                    args[arg] = value;
                    allowed += usize::from(check(&filter, &table, number.into(), args));
                }
            }
        }
        assert!(allowed > 1000, "{allowed}");
    }
}

#[test]
fn every_number_of_every_entry() {
    for subject in SUBJECTS {
        let (filter, table) = (Installable::sample(subject), Table::of(subject, ABI));
        let open = u64::from(EPOLL.unsigned_abs());
        for number in 0..u64::from(NUMBERS) {
            for args in [[0; 6], [1, 0, 512, 0, 0, 0], [open, 0, 512, 0, 0, 0], [u64::MAX; 6]] {
                check(&filter, &table, number, args);
            }
            for bits in [u64::from(X32_BIT), 1 << 31, 1 << 32, 1 << 63, 0xffff_ffff << 32] {
                check(&filter, &table, number | bits, [1, 0, 512, 0, 0, 0]);
            }
        }
        for rax in [u64::MAX, u64::from(u32::MAX), 1 << 31, i64::MAX.cast_unsigned()] {
            check(&filter, &table, rax, [0; 6]);
        }
    }
}

/// A kernel without 32-bit calls answers `int 0x80` with SIGSEGV, filter or not.
#[test]
fn every_number_of_i386() {
    let everything = Installable::new(&[stmt(RET, ret::ALLOW)]);
    let getpid = Abi::X86.number("getpid").unwrap();
    let without = everything.fate(Entry::Int80(getpid), [0; 6]);
    let expected = if without == 0 { libc::SIGSYS } else { libc::SIGSEGV };
    for subject in SUBJECTS {
        let filter = Installable::sample(subject);
        let numbers = (0..NUMBERS).chain((0..NUMBERS).map(|n| n | X32_BIT)).chain([u32::MAX]);
        for number in numbers {
            for args in [[0; 6], [1, 0, 512, 0, 0, 0]] {
                let fate = filter.fate(Entry::Int80(number), args);
                assert_eq!(fate, expected, "{number}");
            }
        }
    }
}
