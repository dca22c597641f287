//! What a call is about: a path, or what a descriptor refers to; without digits, which differ from run to run.

use crate::kernel::Call;
use crate::view::without_digits;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Calls whose first argument is a path.
const PATH_FIRST: [&str; 12] = [
    "open", "stat", "lstat", "readlink", "mkdir", "rmdir", "unlink", "access", "execve", "chdir", "umount2",
    "fsopen",
];
/// Calls whose second argument is a path below the first.
const PATH_SECOND: [&str; 11] = [
    "openat",
    "openat2",
    "newfstatat",
    "mkdirat",
    "unlinkat",
    "renameat",
    "faccessat",
    "faccessat2",
    "mknodat",
    "fchownat",
    "fchmodat",
];
/// Longest path shown.
const LENGTH: usize = 256;

/// In words without spaces; empty for calls about nothing.
pub(crate) fn of(name: &str, call: &Call) -> String {
    let text = if PATH_FIRST.contains(&name) {
        path(call.pid, call.args[0])
    } else if PATH_SECOND.contains(&name) {
        path(call.pid, call.args[1])
    } else {
        let number = call.args[0] & 0xffff_ffff;
        let link = std::fs::read_link(format!("/proc/{}/fd/{number}", call.pid));
        link.map(|link| link.display().to_string()).unwrap_or_default()
    };
    without_digits(&text).replace(char::is_whitespace, "_")
}

fn path(pid: i32, address: u64) -> String {
    let mut bytes = [0; LENGTH];
    let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else { return String::new() };
    // The string may end before a page that is not mapped.
    let length = [LENGTH, 64, 16].into_iter().find_map(|length| {
        let count = memory.read_at(&mut bytes[..length], address).ok()?;
        (count > 0).then_some(count)
    });
    let bytes = &bytes[..length.unwrap_or_default()];
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
