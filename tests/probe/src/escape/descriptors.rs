//! What was inherited.

use super::Try;
use super::call::{CWD, at, c, call, place};
use std::io;

pub(super) const TRIES: &[(&str, Try)] = &[
    ("leave-by-an-inherited-directory", |host| {
        let path = c(host.file.trim_start_matches('/'));
        let open = |dir: usize| call(libc::SYS_openat, &[dir, at(&path[..]), 0]).is_ok();
        (3..1024).any(open).then_some(()).ok_or(io::Error::from_raw_os_error(libc::EBADF))
    }),
    ("leave-by-the-working-directory", |host| {
        let path = c(&format!("{}{}", "../".repeat(16), host.file.trim_start_matches('/')));
        call(libc::SYS_openat, &[CWD, at(&path[..]), 0]).map(drop)
    }),
    ("use-an-inherited-terminal", |_| {
        let mut size = [0_u16; 4];
        let command = usize::try_from(libc::TIOCGWINSZ).unwrap_or_default();
        let terminal = (3..1024).any(|fd| call(libc::SYS_ioctl, &[fd, command, place(&mut size)]).is_ok());
        terminal.then_some(()).ok_or(io::Error::from_raw_os_error(libc::EBADF))
    }),
];
