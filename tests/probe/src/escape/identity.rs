//! Who the process is and may become.

use super::Try;
use super::call::{ask, at, call, place};
use std::io;

/// Nobody's id.
const OTHER: usize = 12_345;
/// capabilities(7): bits of the first word.
const CHOWN: u32 = 1;
const SYS_ADMIN: u32 = 1 << 21;

pub(super) const TRIES: &[(&str, Try)] = &[
    ("become-another-user", |_| ask(libc::SYS_setuid, &[OTHER])),
    ("become-another-group", |_| ask(libc::SYS_setgid, &[OTHER])),
    ("join-other-groups", |_| {
        let groups = [6_u32, 42];
        ask(libc::SYS_setgroups, &[groups.len(), at(&groups)])
    }),
    ("gain-a-capability", |_| {
        capabilities(|sets| {
            sets[0] = SYS_ADMIN;
            sets[1] = SYS_ADMIN;
        })
    }),
    ("gain-an-ambient-capability", |_| {
        capabilities(|sets| sets[2] |= CHOWN)?;
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE.cast_unsigned() as usize)
    }),
    ("keep-capabilities", |_| {
        const NO_SETUID_FIXUP: usize = 4;
        prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP)
    }),
    ("drop-from-the-bounding-set", |_| prctl(libc::PR_CAPBSET_DROP, 0)),
    ("run-in-real-time", |_| {
        let priority = 1_i32;
        ask(libc::SYS_sched_setscheduler, &[0, libc::SCHED_FIFO as usize, at(&priority)])
    }),
    ("run-before-others", |_| {
        const MINUS_5: usize = usize::MAX - 4;
        ask(libc::SYS_setpriority, &[libc::PRIO_PROCESS as usize, 0, MINUS_5])
    }),
    ("write-to-disk-before-others", |_| {
        // IOPRIO_WHO_PROCESS; class real time, level 0.
        ask(libc::SYS_ioprio_set, &[1, 0, 1 << 13])
    }),
];

fn prctl(option: i32, argument: usize) -> io::Result<()> {
    ask(libc::SYS_prctl, &[option.cast_unsigned() as usize, argument, 0, 0, 0])
}

/// Reads, changes and sets the own sets: effective, permitted, inheritable, then their upper halves. capset(2).
fn capabilities(change: impl Fn(&mut [u32; 6])) -> io::Result<()> {
    let header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    call(libc::SYS_capget, &[at(&header), place(&mut sets)])?;
    change(&mut sets);
    ask(libc::SYS_capset, &[at(&header), at(&sets)])
}
