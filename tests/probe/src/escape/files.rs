//! Files of the host, and devices.

use super::Try;
use super::call::{CWD, ask, at, c, gate, place, signed};
use std::ffi::CString;
use std::io;

pub(super) const TRIES: &[(&str, Try)] = &[
    ("read-a-file-of-the-host", |host| open(&host.file, libc::O_RDONLY)),
    ("climb-above-the-root", |host| open(&format!("{}{}", "/..".repeat(16), host.file), libc::O_RDONLY)),
    ("read-the-passwords", |_| open("/etc/shadow", libc::O_RDONLY)),
    ("read-the-kernel-s-memory", |_| any(&["/dev/mem", "/dev/kmem", "/proc/kcore"], libc::O_RDONLY)),
    ("read-another-s-environment", |host| open(&format!("/proc/{}/environ", host.pid), libc::O_RDONLY)),
    ("reach-a-root-by-procfs", |host| open(&format!("/proc/{}/root/etc", host.pid), libc::O_RDONLY)),
    ("write-the-core-pattern", |_| open("/proc/sys/kernel/core_pattern", libc::O_WRONLY)),
    ("write-a-sysctl-of-the-kernel", |_| {
        any(&["/proc/sys/kernel/panic", "/proc/sys/vm/drop_caches"], libc::O_WRONLY)
    }),
    ("press-sysrq", |_| open("/proc/sysrq-trigger", libc::O_WRONLY)),
    ("write-to-sysfs", |_| {
        any(&["/sys/power/state", "/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run"], libc::O_WRONLY)
    }),
    ("leave-the-cgroup", |_| {
        any(&["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs"], libc::O_WRONLY)
    }),
    ("write-a-release-agent", |_| {
        any(&["/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/pids/release_agent"], libc::O_WRONLY)
    }),
    ("read-the-kernel-s-log", |_| open("/dev/kmsg", libc::O_RDONLY | libc::O_NONBLOCK)),
    ("open-a-disk", |_| {
        any(&["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0", "/dev/ram0"], libc::O_RDONLY)
    }),
    ("open-a-device-of-the-host", |_| {
        any(&["/dev/net/tun", "/dev/fuse", "/dev/loop-control", "/dev/vsock", "/dev/vhost-net"], libc::O_RDWR)
    }),
    ("make-a-disk-node", |_| node("escape-disk", libc::S_IFBLK, libc::makedev(8, 0))),
    ("make-a-memory-node", |_| node("escape-mem", libc::S_IFCHR, libc::makedev(1, 1))),
    ("give-a-file-away", |_| {
        let path = c(".");
        ask(libc::SYS_fchownat, &[CWD, at(&path[..]), 12_345, 12_345, 0])
    }),
    ("set-a-trusted-attribute", |_| {
        let (path, name) = (c("."), c("trusted.escape"));
        // A file system without such attributes says so only to those who may set them.
        gate(libc::SYS_setxattr, &[at(&path[..]), at(&name[..]), at(b"x"), 1, 0], &[libc::EOPNOTSUPP])
    }),
    ("overwrite-the-monitor", |_| {
        let own = std::env::args().next().unwrap_or_default();
        // A running program is busy for those who may write it. O_TRUNC asks whether the mount may be written first.
        match open(&own, libc::O_WRONLY | libc::O_TRUNC) {
            Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => Ok(()),
            other => other,
        }
    }),
    ("replace-the-monitor", |_| {
        let own = c(&std::env::args().next().unwrap_or_default());
        let times = [0_i64; 4];
        ask(libc::SYS_utimensat, &[CWD, at(&own[..]), at(&times), 0])
    }),
    ("type-into-a-terminal", |_| type_into_a_terminal()),
    ("watch-whole-file-systems", |_| {
        const FAN_CLASS_CONTENT: usize = 4;
        ask(libc::SYS_fanotify_init, &[FAN_CLASS_CONTENT, 0])
    }),
];

/// Opens and closes.
fn open(path: &str, flags: i32) -> io::Result<()> {
    let path = CString::new(path)?;
    let flags = signed(flags | libc::O_NOCTTY);
    ask(libc::SYS_openat, &[CWD, path.as_ptr() as usize, flags])
}

/// One of them is enough; the last error, unless one says more than that there is no such file.
fn any(paths: &[&str], flags: i32) -> io::Result<()> {
    let mut result = Err(io::Error::from_raw_os_error(libc::ENOENT));
    for path in paths {
        match open(path, flags) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            other => result = other,
        }
        if result.is_ok() {
            break;
        }
    }
    result
}

fn node(name: &str, kind: libc::mode_t, device: libc::dev_t) -> io::Result<()> {
    let name = c(name);
    let device = usize::try_from(device).unwrap_or_default();
    ask(libc::SYS_mknodat, &[CWD, at(&name[..]), kind as usize | 0o666, device])
}

/// TIOCSTI into every terminal in reach, and into a new one.
fn type_into_a_terminal() -> io::Result<()> {
    let letter = b'x';
    let push = |fd: usize| {
        ask(libc::SYS_ioctl, &[fd, usize::try_from(libc::TIOCSTI).unwrap_or_default(), at(&letter)])
    };
    for fd in 0..3 {
        if push(fd).is_ok() {
            return Ok(());
        }
    }
    let path = c("/dev/ptmx");
    let flags = signed(libc::O_RDWR | libc::O_NOCTTY);
    let pty = super::call::call(libc::SYS_openat, &[CWD, at(&path[..]), flags])?;
    let mut unlocked = 0_i32;
    ask(
        libc::SYS_ioctl,
        &[pty, usize::try_from(libc::TIOCSPTLCK).unwrap_or_default(), place(&mut unlocked)],
    )?;
    push(pty)
}
