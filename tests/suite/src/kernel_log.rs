//! What the kernel wrote to its log while a test ran.

use rustix::fs::{SeekFrom, seek};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

/// `KERN_ERR` of the kernel's `kern_levels.h`; syslog(2).
const ERROR: u32 = 3;
/// The kernel's own alarms, whatever their level.
const ALARMS: [&str; 6] =
    ["WARNING: ", "BUG: ", "Oops", "soft lockup", "page allocation failure", "rcu: INFO"];
/// What other guests on the same host may cause: no alarm.
const OTHERS: [&str; 2] = ["kvm-pvm: INTERNAL_ERROR", "Memory cgroup out of memory"];

/// The records since it was opened; /dev/kmsg, `Documentation/ABI/testing/dev-kmsg`.
pub struct KernelLog(File);

impl KernelLog {
    /// From now on.
    pub fn open() -> Self {
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").expect("/dev/kmsg");
        seek(&file, SeekFrom::End(0)).expect("/dev/kmsg");
        Self(file)
    }

    /// Lines that no guest may cause: errors and worse, and the kernel's alarms. That a process died of a signal is
    /// information.
    pub fn alarms(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.0.read(&mut record) {
                Ok(length) => lines.extend(alarm(&String::from_utf8_lossy(&record[..length]))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return lines,
                // EPIPE: records were overwritten before they were read.
                Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            }
        }
    }
}

/// The text of a record `PRIORITY,SEQUENCE,TIME,…;TEXT` that is an alarm.
fn alarm(record: &str) -> Option<String> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    let alarming = priority & 7 <= ERROR || ALARMS.iter().any(|word| text.contains(word));
    (alarming && !OTHERS.iter().any(|word| text.contains(word))).then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_warnings_with_a_trace_are_alarms() {
        let oops = "3,11,22,-;unable to handle page fault\n SUBSYSTEM=x\n";
        assert!(alarm(oops).unwrap().starts_with("unable"));
        assert!(alarm("4,1,2,-;WARNING: CPU: 0 PID: 1 at net/core/dev.c:1\n").is_some());
        assert!(alarm("6,1,2,-;solo5-spt[7]: segfault at 0 ip 0 sp 0 error 4\n").is_none());
        assert!(alarm("4,1,2,-;umip: solo5-spt[7] SGDT instruction cannot be used\n").is_none());
    }

    #[test]
    fn a_line_written_now_is_seen() {
        let mut log = KernelLog::open();
        std::fs::write("/dev/kmsg", "<3>urunc: test of the suite\n").unwrap();
        assert!(log.alarms().iter().any(|line| line.contains("urunc: test of the suite")));
    }
}
