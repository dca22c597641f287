//! What the kernel wrote to its log while a test ran.

use rustix::fs::{SeekFrom, seek};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Levels of the kernel's `kern_levels.h`; syslog(2).
const CRITICAL: u32 = 2;
const ERROR: u32 = 3;
/// The kernel's alarms about itself, whatever their level.
const ALARMS: [&str; 9] = [
    "WARNING: ",
    "BUG: ",
    "Oops",
    "UBSAN: ",
    "corruption",
    "soft lockup",
    "page allocation failure",
    "rcu: INFO",
    "blocked for more than",
];
/// What the guests' names in the log begin with.
const GUEST: &str = "solo5-";

/// The records since it was opened; /dev/kmsg, `Documentation/ABI/testing/dev-kmsg`.
pub struct KernelLog(File);

impl KernelLog {
    /// From now on.
    pub fn open() -> Self {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .expect("/dev/kmsg");
        seek(&file, SeekFrom::End(0)).expect("/dev/kmsg");
        Self(file)
    }

    /// Lines that no guest may cause: alarms of the kernel about itself, and errors that name a guest. That a process died
    /// of a signal is information. (Errors about others are those of the host's other tenants.)
    pub fn alarms(&mut self) -> Vec<String> {
        let mark = format!("suite {}: end of a case", std::process::id());
        self.0.write_all(format!("<7>{mark}\n").as_bytes()).expect("/dev/kmsg");
        let (mut lines, mut marked) = (Vec::new(), false);
        let mut record = [0; 8192];
        loop {
            match self.0.read(&mut record) {
                Ok(length) => {
                    let record = String::from_utf8_lossy(&record[..length]);
                    marked |= record.contains(&mark);
                    lines.extend(alarm(&record));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // EPIPE: records were overwritten before they were read.
                Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            }
        }
        assert!(marked, "what was written now is not in the log: nothing can be said about it");
        lines
    }
}

/// The text of a record `PRIORITY,SEQUENCE,TIME,…;TEXT` that is an alarm.
fn alarm(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    let level = priority & 7;
    let alarming = level <= CRITICAL
        || level <= ERROR && text.contains(GUEST)
        || ALARMS.iter().any(|word| text.contains(word));
    alarming.then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_warnings_with_a_trace_are_alarms() {
        let oops = "1,11,22,-;BUG: unable to handle page fault\n SUBSYSTEM=x\n";
        assert!(alarm(oops).unwrap().starts_with("BUG"));
        assert!(alarm("3,1,2,-;traps: solo5-spt[7] bad frame\n").is_some());
        assert!(alarm("3,1,2,-;tmpfs: Unknown parameter\n").is_none());
        assert!(alarm("4,1,2,-;WARNING: CPU: 0 PID: 1 at net/core/dev.c:1\n").is_some());
        assert!(alarm("6,1,2,-;solo5-spt[7]: segfault at 0 ip 0 sp 0 error 4\n").is_none());
        assert!(alarm("4,1,2,-;umip: solo5-spt[7] SGDT instruction cannot be used\n").is_none());
    }
}
