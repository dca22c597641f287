//! QEMU as an exec'ed program: machine q35, no default device, one serial line, QMP on a socket to init.

use super::{COMMON_DEVICES, Device, Monitor};
use crate::launch::{Exec, FdSource, Filter, Program, Ready, Stderr, Tap};
use crate::machine::{Acceleration, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// `qemu`.
#[derive(Debug)]
pub(super) struct Qemu;

/// Translation buffer of TCG, MiB: less makes it several times slower, the default takes a quarter of the RAM.
const TRANSLATION_MIB: u64 = 16;

/// Asked for at every start, and done without when refused: a large kernel attack surface.
const REFUSED: &[&str] = &["io_uring_setup"];

/// What QEMU 7.2 and its libraries call, seen in traces of TCG guests with disk and tap, and what their other code
/// paths need: block back ends, signals, timers. It makes no socket and no process but its threads.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "access", "arch_prctl", "brk", "clock_getres", "clock_gettime", "clock_nanosleep", "clone",
    "clone3", "close", "close_range", "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait",
    "epoll_pwait2", "epoll_wait", "eventfd2", "execve", "exit", "exit_group", "faccessat", "faccessat2",
    "fadvise64", "fallocate", "fchdir", "fcntl", "fdatasync", "flock", "fstat", "fstatfs", "fsync",
    "ftruncate", "futex", "get_mempolicy", "get_robust_list", "getcwd", "getdents64", "getegid", "geteuid",
    "getgid", "getpeername", "getpid", "getppid", "getrandom", "getrusage", "getsockname", "getsockopt",
    "gettid", "gettimeofday", "getuid", "io_destroy", "io_getevents", "io_setup", "io_submit",
    "io_uring_setup", "ioctl", "lseek", "lstat", "madvise", "mbind", "membarrier",
    "memfd_create", "mincore", "mlock", "mmap", "mprotect", "mremap", "msync", "munlock", "munmap",
    "nanosleep", "newfstatat", "open", "openat", "pipe2", "poll", "ppoll", "prctl", "pread64", "preadv",
    "preadv2", "prlimit64", "pselect6", "pwrite64", "pwritev", "pwritev2", "read", "readlink",
    "readlinkat", "readv", "recvfrom", "recvmsg", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_yield",
    "seccomp", "select", "sendmsg", "sendto", "set_mempolicy", "set_robust_list", "set_tid_address",
    "setsockopt", "shutdown", "sigaltstack", "signalfd4", "stat", "statfs", "statx", "sysinfo", "tgkill",
    "time", "timer_create", "timer_delete", "timer_gettime", "timer_settime", "timerfd_create",
    "timerfd_settime", "tkill", "uname", "unlink", "write", "writev",
];

impl Monitor for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn offers(&self) -> Offers {
        Offers {
            boot: &[BootProtocol::Linux],
            nics: &[DeviceModel::VirtioPci],
            disks: &[DeviceModel::VirtioPci],
            initrd: true,
            most_ram_mib: 1 << 20,
            most_vcpus: 255,
            vnet_hdr: true,
        }
    }

    fn program(&self, arch: &str) -> Option<String> {
        Some(format!("qemu-system-{arch}"))
    }

    fn accelerated(&self) -> bool {
        true
    }

    fn devices(&self, acceleration: Acceleration) -> Vec<Device> {
        let kvm = Device { path: "/dev/kvm", major: 10, minor: 232 };
        COMMON_DEVICES.into_iter().chain((acceleration == Acceleration::Kvm).then_some(kvm)).collect()
    }

    fn supervised(&self) -> Option<&'static str> {
        Some("qemu tells how its guest ended, and stops it, over QMP only")
    }

    /// Measured with QEMU 7.2: q35 with TCG peaks at 51 MiB beside the RAM, and page tables take 1/512 of it.
    fn overhead(&self, acceleration: Acceleration) -> Overhead {
        let translation = if acceleration == Acceleration::Kvm { 0 } else { TRANSLATION_MIB };
        Overhead { fixed: (52 + translation) * MIB, ram_divisor: 512 }
    }

    fn filters(&self) -> Vec<Filter> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        vec![Filter::Deny(names(REFUSED)), Filter::Allow(names(ALLOWED))]
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        let mut fds: Vec<FdSource> = machine.tap.map(|_| FdSource::Tap).into_iter().collect();
        let control = 3 + fds.len();
        fds.extend([FdSource::Control, FdSource::ConsoleCopy]);
        let mut args = fixed(machine);
        args.extend(devices(machine));
        args.extend(["-add-fd".to_owned(), format!("fd={},set=1", control + 1), "-chardev".to_owned()]);
        // It appends, because what it would cut is a pipe.
        let console = "stdio,id=con0,mux=off,signal=off,logfile=/dev/fdset/1,logappend=on";
        args.extend(words(&[console, "-serial", "chardev:con0"]));
        args.extend(["-chardev".to_owned(), format!("socket,id=qmp,fd={control}")]);
        args.extend(words(&["-mon", "chardev=qmp,mode=control"]));
        Exec::Program(Program {
            path: machine.program.to_owned(),
            args,
            env: Vec::new(),
            cwd: "/".to_owned(),
            fds,
            stderr: Stderr::Log,
            ready: Ready::Qmp,
        })
    }
}

/// Machine, processor, memory and kernel.
fn fixed(machine: &Machine<'_>) -> Vec<String> {
    let (accel, cpu) = match machine.acceleration {
        // A nested monitor is nothing a container asked for.
        Acceleration::Kvm => ("kvm".to_owned(), "host,-vmx,-svm"),
        _ => (format!("tcg,tb-size={TRANSLATION_MIB}"), "max"),
    };
    // Without /proc the program finds itself, and from there its modules, by its name.
    // Guest memory is neither merged with equal pages of others (KSM) nor part of a core dump.
    let board = "q35,mem-merge=off,dump-guest-core=off";
    let mut args =
        words(&[machine.program, "-M", board, "-nodefaults", "-no-user-config", "-display", "none", "-vga"]);
    args.extend(words(&["none", "-no-reboot", "-m"]));
    args.extend([format!("{}M", machine.memory_mib), "-smp".to_owned(), machine.vcpus.to_string()]);
    args.extend(["-accel".to_owned(), accel]);
    args.extend(words(&["-cpu", cpu, "-L", machine.data, "-sandbox"]));
    args.extend(words(&["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]));
    args.extend(words(&["-kernel", "/guest/kernel"]));
    if machine.initrd {
        args.extend(words(&["-initrd", "/guest/initrd"]));
    }
    args.extend(["-append".to_owned(), machine.cmdline.clone()]);
    args
}

fn devices(machine: &Machine<'_>) -> Vec<String> {
    // The port by which a guest says that it panicked.
    let mut args = words(&["-device", "pvpanic"]);
    if let Some(Tap { mac, mtu, .. }) = machine.tap {
        args.extend(words(&["-netdev", "tap,id=net0,fd=3", "-device"]));
        // The guest's driver reads the MTU (VIRTIO_NET_F_MTU); its own default is 1500.
        args.push(format!("virtio-net-pci,netdev=net0,mac={mac},host_mtu={mtu},romfile="));
    }
    if let Some(writable) = machine.disk_writable {
        let readonly = if writable { "" } else { ",readonly=on" };
        args.push("-drive".to_owned());
        args.push(format!("format=raw,if=none,id=hd0,file=/guest/disk0{readonly}"));
        args.extend(words(&["-device", "virtio-blk-pci,drive=hd0"]));
    }
    args
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
