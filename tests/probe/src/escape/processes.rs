//! Other processes and their namespaces.

use super::Try;
use super::call::{CWD, ask, at, c, call, exit, gate, place, signed};
use std::io;

/// A signal that is ignored by default.
const HARMLESS: usize = libc::SIGURG as usize;

pub(super) const TRIES: &[(&str, Try)] = &[
    // Signal 0: the permission is checked, nothing is sent.
    ("kill-everyone", |_| ask(libc::SYS_kill, &[signed(-1), 0])),
    ("kill-a-process", |host| ask(libc::SYS_kill, &[host.pid, HARMLESS])),
    ("kill-a-thread", |host| ask(libc::SYS_tgkill, &[host.pid, host.pid, HARMLESS])),
    ("kill-by-descriptor", |host| ask(libc::SYS_pidfd_send_signal, &[pidfd(host.pid)?, HARMLESS, 0, 0])),
    ("trace-a-process", |host| {
        const PTRACE_SEIZE: usize = 0x4206;
        ask(libc::SYS_ptrace, &[PTRACE_SEIZE, host.pid, 0, 0])
    }),
    // EFAULT: there is nothing at that address, but one may look.
    ("read-another-s-memory", |host| memory(libc::SYS_process_vm_readv, host.pid)),
    ("write-another-s-memory", |host| memory(libc::SYS_process_vm_writev, host.pid)),
    ("take-another-s-descriptor", |host| ask(libc::SYS_pidfd_getfd, &[pidfd(host.pid)?, 0, 0])),
    ("compare-with-another", |host| {
        const KCMP_FILES: usize = 2;
        ask(libc::SYS_kcmp, &[std::process::id() as usize, host.pid, KCMP_FILES])
    }),
    ("limit-another", |host| {
        let mut limit = [0_u64; 2];
        ask(libc::SYS_prlimit64, &[host.pid, libc::RLIMIT_NOFILE as usize, 0, place(&mut limit)])
    }),
    ("bind-another-to-a-processor", |host| {
        let mut all = [0_u64; 16];
        call(libc::SYS_sched_getaffinity, &[host.pid, size_of_val(&all), place(&mut all)])?;
        ask(libc::SYS_sched_setaffinity, &[host.pid, size_of_val(&all), at(&all)])
    }),
    ("join-another-s-namespaces", |host| {
        ask(libc::SYS_setns, &[pidfd(host.pid)?, libc::CLONE_NEWUTS as usize])
    }),
    ("join-the-namespace-of-init", |_| {
        let path = c("/proc/1/ns/uts");
        let namespace = call(libc::SYS_openat, &[CWD, at(&path[..]), 0])?;
        ask(libc::SYS_setns, &[namespace, 0])
    }),
    ("unshare-users", |_| unshare(libc::CLONE_NEWUSER)),
    ("clone-into-new-users", |_| {
        born(call(libc::SYS_clone, &[(libc::CLONE_NEWUSER | libc::SIGCHLD) as usize]))
    }),
    ("clone3-into-new-users", |_| {
        let arguments = [libc::CLONE_NEWUSER as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
        born(call(libc::SYS_clone3, &[at(&arguments), size_of_val(&arguments)]))
    }),
    ("unshare-mounts", |_| unshare(libc::CLONE_NEWNS)),
    ("unshare-the-network", |_| unshare(libc::CLONE_NEWNET)),
    ("unshare-processes", |_| unshare(libc::CLONE_NEWPID)),
    ("unshare-cgroups", |_| unshare(libc::CLONE_NEWCGROUP)),
];

fn unshare(flags: i32) -> io::Result<()> {
    ask(libc::SYS_unshare, &[flags.cast_unsigned() as usize])
}

/// The child of a clone ends at once.
fn born(child: io::Result<usize>) -> io::Result<()> {
    if matches!(child, Ok(0)) {
        exit();
    }
    child.map(drop)
}

fn pidfd(pid: usize) -> io::Result<usize> {
    call(libc::SYS_pidfd_open, &[pid, 0])
}

fn memory(number: libc::c_long, pid: usize) -> io::Result<()> {
    let mut byte = 0_u8;
    let (here, there) = ([place(&mut byte), 1], [16_usize, 1]);
    gate(number, &[pid, at(&here), 1, at(&there), 1, 0], &[libc::EFAULT])
}
