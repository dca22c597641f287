//! Who a process is beyond its number: proc_pid_stat(5), the boot.

use std::io::ErrorKind;

use crate::error::{Result, SysError};

/// Identity of a process beyond its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// State letter of proc_pid_stat(5).
    pub state: char,
    /// Parent.
    pub parent: i32,
    /// On its way out (`PF_EXITING` of the kernel's `include/linux/sched.h`): set before its descriptors are closed.
    pub exiting: bool,
    /// Start time in clock ticks since boot, in the reader's time namespace.
    pub start_time: u64,
    /// Of a zombie, how it ended, as wait(2) has it; 0 where the reader may not know.
    pub exit_code: i32,
}

/// Parses /proc/PID/stat after the *last* `)`: the name may hold anything.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let rest = text.get(text.rfind(')')? + 1..)?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let start_time = fields.nth(12)?.parse().ok()?;
    // Older kernels have fewer fields.
    let exit_code = fields.nth(29).and_then(|field| field.parse().ok()).unwrap_or(0);
    Some(Stat { state, parent, exiting: flags & 0x4 != 0, start_time, exit_code })
}

/// [`parse_stat`] of a live process; `None` when there is none (or no /proc).
///
/// # Errors
/// The file cannot be read, which says nothing about the process.
pub fn stat(pid: i32) -> Result<Option<Stat>> {
    // The name may be any bytes: a process must not be able to hide behind them.
    let bytes = read_if_any(&format!("/proc/{pid}/stat"))?;
    Ok(bytes.and_then(|bytes| parse_stat(&String::from_utf8_lossy(&bytes))))
}

/// Name of a process as [`set_name`](super::set_name) or exec left it, at most 15 bytes; `None` when there is none.
///
/// # Errors
/// As [`stat`].
pub fn name(pid: i32) -> Result<Option<String>> {
    let bytes = read_if_any(&format!("/proc/{pid}/comm"))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// Identity of this boot: pid and start time repeat after a reboot. Empty without /proc.
///
/// # Errors
/// The file cannot be read.
pub fn boot_id() -> Result<String> {
    let bytes = read_if_any("/proc/sys/kernel/random/boot_id")?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// A file's content; `None` when it does not exist, or when its process went between open and read (ESRCH).
fn read_if_any(path: &str) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        read => read.map(Some).map_err(|e| SysError::new("read", path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_confuse_stat() {
        let tail = "S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let stat = parse_stat(&format!("12 (a) R 9 (x) {tail}")).unwrap();
        assert_eq!(stat, Stat { state: 'S', parent: 7, exiting: false, start_time: 4242, exit_code: 0 });
        let long = format!("12 (a) {tail}{} 2816", " 0".repeat(27));
        assert_eq!(parse_stat(&long).unwrap().exit_code, 2816);
        assert!(parse_stat(&format!("12 (a) {}", tail.replace("-1 0", "-1 4"))).unwrap().exiting);
        assert_eq!(parse_stat("no parenthesis"), None);
    }
}
