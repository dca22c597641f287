//! Cloud Hypervisor 53: kernel with a PVH entry, virtio on PCI, the tap by descriptor, its API on a socket that it makes.

use super::{COMMON_DEVICES, Device, KVM, Monitor, words};
use crate::launch::{Dir, Exec, FdSource, Filter, Program, Ready, Root, Stderr, Tap, Voice};
use crate::machine::{Acceleration, Board, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// `cloud-hypervisor`.
#[derive(Debug)]
pub(super) struct CloudHypervisor;

/// It makes its socket, and a lock beside it, in a directory that is its user's.
const DIRECTORY: &str = "/run/cloud-hypervisor";
const API: &str = "/run/cloud-hypervisor/api.sock";

/// Asked for at every start, and done without when refused.
const REFUSED: &[&str] = &["io_uring_setup"];

/// What its own filters allow (`seccomp_filters.rs` of its `vmm` and `virtio-devices`) without migration and asynchronous
/// disks by io_uring, and what starting needs.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "accept4", "access", "arch_prctl", "bind", "brk", "clock_gettime", "clock_nanosleep", "clone", "clone3",
    "close", "close_range", "dup", "dup2", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait",
    "eventfd2", "execve", "exit", "exit_group", "faccessat", "fallocate", "fcntl", "fdatasync", "flock",
    "fstat", "fsync", "ftruncate", "futex", "getcwd", "getdents64", "getpgid", "getpid", "getrandom",
    "getsockname", "gettid", "gettimeofday", "getuid", "io_destroy", "io_getevents", "io_setup", "io_submit",
    "io_uring_setup", "ioctl", "kill", "listen", "lseek", "lstat", "madvise", "mbind", "membarrier",
    "memfd_create", "mmap", "mprotect", "mremap", "msync", "munmap", "nanosleep", "newfstatat", "open",
    "openat", "pipe2", "poll", "ppoll", "prctl", "pread64", "preadv", "prlimit64", "pwrite64", "pwritev",
    "read", "readlink", "readlinkat", "readv", "recvfrom", "recvmsg", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_setaffinity", "sched_yield", "seccomp",
    "sendmsg", "sendto", "set_robust_list", "set_tid_address", "shutdown", "sigaltstack", "socket",
    "socketpair", "stat", "statfs", "statx", "tgkill", "timerfd_create", "timerfd_settime", "tkill", "umask",
    "uname", "unlink", "write", "writev",
];

impl Monitor for CloudHypervisor {
    fn name(&self) -> &'static str {
        "cloud-hypervisor"
    }

    fn offers(&self, _board: Board) -> Offers {
        Offers {
            boot: &[BootProtocol::Pvh],
            nics: &[DeviceModel::VirtioPciModern],
            disks: &[DeviceModel::VirtioPciModern],
            initrd: true,
            most_ram_mib: 1 << 20,
            most_vcpus: 254,
            vnet_hdr: true,
            exit_port: false,
        }
    }

    fn program(&self, _arch: &str) -> Option<String> {
        Some("cloud-hypervisor".to_owned())
    }

    fn accelerated(&self) -> bool {
        true
    }

    fn needs_kvm(&self) -> bool {
        true
    }

    fn furnish(&self, _machine: &Machine<'_>, root: &mut Root) {
        root.dirs.push(Dir { path: DIRECTORY.to_owned(), mode: 0o700, owned: true });
    }

    fn supervised(&self) -> Option<&'static str> {
        Some(
            "cloud-hypervisor may start its guest anew for ever, and ends on a signal only beside another process 1",
        )
    }

    fn voice(&self) -> Voice {
        Voice::CloudHypervisor
    }

    fn devices(&self, _acceleration: Acceleration) -> Vec<Device> {
        COMMON_DEVICES.into_iter().chain([KVM]).collect()
    }

    /// Queues, threads and page tables on both sides.
    fn overhead(&self, _acceleration: Acceleration) -> Overhead {
        Overhead { fixed: 24 * MIB, ram_divisor: 256 }
    }

    fn filters(&self) -> Vec<Filter> {
        vec![Filter::Deny(words(REFUSED)), Filter::Allow(words(ALLOWED))]
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        let mut args = words(&[machine.program, "--seccomp", "true", "--kernel", "/guest/kernel"]);
        if machine.initrd {
            args.extend(words(&["--initramfs", "/guest/initrd"]));
        }
        // One word: what begins with a hyphen would be an option.
        args.push(format!("--cmdline={}", machine.cmdline));
        args.extend(["--memory".to_owned(), format!("size={}M", machine.memory_mib)]);
        args.extend(["--cpus".to_owned(), format!("boot={}", machine.vcpus)]);
        args.extend(devices(machine));
        args.extend(words(&["--serial", "tty", "--console", "off", "--api-socket", API]));
        let mut fds: Vec<FdSource> = machine.tap.map(|_| FdSource::Tap).into_iter().collect();
        args.extend(["--event-monitor".to_owned(), format!("fd={}", 3 + fds.len())]);
        fds.push(FdSource::Control);
        // The device by which a guest says that it panicked; and the log in which only `-v` tells a power-off from other
        // ends.
        args.extend(words(&["--pvpanic", "-v"]));
        Exec::Program(Program {
            path: machine.program.to_owned(),
            args,
            env: Vec::new(),
            cwd: "/".to_owned(),
            fds,
            stderr: Stderr::Log,
            ready: Ready::Api { socket: API.to_owned(), path: "/api/v1/vm.info".to_owned() },
        })
    }
}

fn devices(machine: &Machine<'_>) -> Vec<String> {
    let mut args = Vec::new();
    if let Some(Tap { mac, .. }) = machine.tap {
        // The guest's MTU is the tap's; to set it again would need a capability.
        args.extend(["--net".to_owned(), format!("fd=3,mac={mac}")]);
    }
    if let Some(writable) = machine.disk_writable {
        // A raw image whose content looks like another format's would be opened as that.
        let readonly = if writable { "off" } else { "on" };
        args.extend(["--disk".to_owned(), format!("path=/guest/disk0,image_type=raw,readonly={readonly}")]);
    }
    args
}
