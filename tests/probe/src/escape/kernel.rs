//! The kernel itself: modules, time, power, programs in it, its wide interfaces.

use super::Try;
use super::call::{ask, at, call, gate, place, signed};

pub(super) const TRIES: &[(&str, Try)] = &[
    ("load-a-module", |_| {
        let nothing = 0_u64;
        let behind = [libc::ENOEXEC, libc::EINVAL, libc::EFAULT];
        gate(libc::SYS_init_module, &[at(&nothing), 8, at(b"\0")], &behind)
    }),
    ("load-a-kernel", |_| gate(libc::SYS_kexec_load, &[0, 0, 0, 0], &[libc::EINVAL])),
    // A command that does not exist: only those who may reboot are told.
    ("reboot", |_| gate(libc::SYS_reboot, &[0xfee1_dead, 0x2812_1969, 0x1234_5678], &[libc::EINVAL])),
    ("swap-on", |_| gate(libc::SYS_swapon, &[at(b"/none\0"), 0], &[libc::ENOENT])),
    ("swap-off", |_| gate(libc::SYS_swapoff, &[at(b"/none\0")], &[libc::ENOENT])),
    ("account-processes", |_| ask(libc::SYS_acct, &[0])),
    ("bend-the-clock", |_| {
        let mut clock = [0_u64; 26];
        call(libc::SYS_adjtimex, &[place(&mut clock)])?;
        // ADJ_FREQUENCY, to what it is.
        clock[0] = 2;
        ask(libc::SYS_adjtimex, &[at(&clock)])
    }),
    ("name-the-host", |_| ask(libc::SYS_sethostname, &[at(b"escaped"), 7])),
    ("name-the-domain", |_| ask(libc::SYS_setdomainname, &[at(b"escaped"), 7])),
    ("silence-the-kernel", |_| {
        // SYSLOG_ACTION_CONSOLE_LEVEL with a level that there is not.
        gate(libc::SYS_syslog, &[8, 0, 0], &[libc::EINVAL])
    }),
    ("hang-up-the-terminal", |_| {
        // Its own session: nobody's terminal is hung up.
        call(libc::SYS_setsid, &[])?;
        ask(libc::SYS_vhangup, &[])
    }),
    ("load-a-bpf-program", |_| {
        // BPF_MAP_CREATE: an array of one word.
        let map = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        ask(libc::SYS_bpf, &[0, at(&map), size_of_val(&map)])
    }),
    ("count-events-of-everyone", |_| perf(-1, 0)),
    #[cfg(target_arch = "x86_64")]
    ("reach-all-ports", |_| ask(libc::SYS_iopl, &[3])),
    #[cfg(target_arch = "x86_64")]
    ("reach-a-port", |_| ask(libc::SYS_ioperm, &[0x80, 1, 1])),
    ("open-an-io-uring", |_| {
        let mut parameters = [0_u32; 30];
        ask(libc::SYS_io_uring_setup, &[1, place(&mut parameters)])
    }),
    ("handle-page-faults", |_| {
        const USER_MODE_ONLY: usize = 1;
        ask(libc::SYS_userfaultfd, &[USER_MODE_ONLY])
    }),
    ("change-the-personality", |_| ask(libc::SYS_personality, &[0x40_0000])),
    #[cfg(target_arch = "x86_64")]
    ("change-the-descriptor-table", |_| ask(libc::SYS_modify_ldt, &[1, at(&[0_u32, 0, 0, 0]), 16])),
];

/// perf_event_open(2) of the simplest software event.
fn perf(pid: i32, cpu: i32) -> std::io::Result<()> {
    let attributes = [1_u32, 128, 0, 0].into_iter().chain([0; 28]).collect::<Vec<u32>>();
    ask(libc::SYS_perf_event_open, &[at(&attributes[..]), signed(pid), signed(cpu), signed(-1), 0])
}
