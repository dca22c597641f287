//! CPU time of the runtime's commands; rustix has no getrusage.
#![allow(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The file that each case's process adds its commands to.
pub const LOG: &str = "SUITE_CPU_LOG";

/// Numbers of bad inputs whose own work is not what is measured: hooks, a file over 16 MiB, monitors.
const EXCEPTED: [&str; 3] = ["i-05", "i-24", "i-50"];

/// Notes what a command cost, where the run asked for it.
pub fn record(spent: Duration) {
    let Some(path) = std::env::var_os(LOG) else { return };
    let file = std::fs::File::options().append(true).create(true).open(path);
    // One write: two processes append at a time.
    let line = format!("{}\n", spent.as_micros());
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the log of CPU times");
}

/// May the commands of this case be excused from the measure?
pub fn excepted(case: &str) -> bool {
    EXCEPTED.iter().any(|number| case.starts_with(number))
}

/// The slowest of all but one per cent of the noted commands, and how many there are.
pub fn p99(log: &Path) -> Option<(Duration, usize)> {
    let text = std::fs::read_to_string(log).ok()?;
    let mut micros: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    micros.sort_unstable();
    let at = (micros.len() * 99).div_ceil(100).checked_sub(1)?;
    Some((Duration::from_micros(micros[at]), micros.len()))
}

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
