//! CPU time of children; rustix has no getrusage.
#![allow(unsafe_code)]

use std::time::Duration;

/// User and system time of every child that was waited for, and of their waited-for children.
pub fn children() -> Duration {
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a valid rusage.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let time = |t: libc::timeval| {
        let micros = t.tv_sec * 1_000_000 + t.tv_usec;
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}
