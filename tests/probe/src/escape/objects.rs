//! Objects of the kernel that have names or keys: memory, queues, keys.

use super::Try;
use super::call::{CWD, ask, at, c, signed};

pub(super) const TRIES: &[(&str, Try)] = &[
    ("attach-system-v-memory", |host| {
        // Numbers are easy to guess.
        ask(libc::SYS_shmat, &[host.memory, 0, 0])
    }),
    ("open-a-message-queue", |host| {
        let name = c(&host.tag);
        ask(libc::SYS_mq_open, &[at(&name[..]), libc::O_RDWR as usize, 0, 0])
    }),
    ("open-posix-memory", |host| {
        let path = c(&format!("/dev/shm/{}", host.tag));
        ask(libc::SYS_openat, &[CWD, at(&path[..]), libc::O_RDWR as usize])
    }),
    ("read-the-user-s-keys", |_| {
        const KEYCTL_READ: usize = 11;
        let user = signed(libc::KEY_SPEC_USER_KEYRING);
        ask(libc::SYS_keyctl, &[KEYCTL_READ, user, 0, 0])
    }),
];
