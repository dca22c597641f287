//! QEMU as an exec'ed program: one of four boards, no default device, one serial line, QMP on a socket to init.

use super::{COMMON_DEVICES, Device, KVM, Monitor, words};
use crate::launch::{Exec, FdSource, Filter, Program, Ready, Stderr, Tap, Voice};
use crate::machine::{Acceleration, Board, BootProtocol, DeviceModel, ExitPort, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// `qemu`.
#[derive(Debug)]
pub(super) struct Qemu;

/// Translation buffer of TCG, MiB: less makes it several times slower, the default takes a quarter of the RAM.
const TRANSLATION_MIB: u64 = 16;

/// Asked for at every start, and done without when refused: a large kernel attack surface.
const REFUSED: &[&str] = &["io_uring_setup"];

/// What QEMU 7.2 and its libraries call, seen in traces of all boards with disk and tap, TCG and KVM, and what their other
/// code paths and other C libraries need. It makes no socket and no process but its threads, and has too few descriptors
/// to wait for them by epoll, which it makes all the same. Time is asked for by calls where the vDSO has no clock to
/// read: HPET, or no stable TSC. `stat` and `tkill` are what musl makes of stat(2) and pthread_kill(3).
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "access", "arch_prctl", "brk", "clock_gettime", "clock_nanosleep", "clone", "clone3", "close", "epoll_create1",
    "eventfd2", "execve", "exit", "exit_group", "faccessat", "fallocate", "fcntl", "fdatasync", "fstat", "futex",
    "get_mempolicy", "getdents64", "getpeername", "getpid", "getrandom", "getsockname", "getsockopt", "gettid",
    "gettimeofday", "io_uring_setup", "ioctl", "lseek", "madvise", "membarrier", "memfd_create", "mmap", "mprotect",
    "mremap", "munmap", "nanosleep", "newfstatat", "open", "openat", "poll", "ppoll", "prctl", "pread64", "preadv",
    "prlimit64", "pwrite64", "pwritev", "read", "readlink", "readlinkat", "readv", "recvmsg", "restart_syscall",
    "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield", "seccomp",
    "sendmsg", "set_mempolicy", "set_robust_list", "set_tid_address", "setsockopt", "shutdown", "sigaltstack",
    "signalfd4", "stat", "statfs", "sysinfo", "tgkill", "tkill", "uname", "unlink", "write", "writev",
];

impl Monitor for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn boards(&self) -> &'static [Board] {
        &[Board::Q35, Board::Pc, Board::Microvm, Board::Virt]
    }

    fn offers(&self, board: Board) -> Offers {
        let boot: &[BootProtocol] = match board {
            Board::Virt => &[BootProtocol::Arm64Image],
            _ => &[BootProtocol::Bzimage, BootProtocol::Pvh, BootProtocol::Multiboot],
        };
        let devices: &[DeviceModel] = match board {
            Board::Microvm => &[DeviceModel::VirtioMmio],
            _ => &[DeviceModel::VirtioPci, DeviceModel::VirtioPciModern],
        };
        Offers {
            boot,
            nics: devices,
            disks: devices,
            initrd: true,
            most_ram_mib: 1 << 20,
            most_vcpus: 255,
            vnet_hdr: true,
            exit_port: board != Board::Virt,
        }
    }

    fn program(&self, arch: &str) -> Option<String> {
        Some(format!("qemu-system-{arch}"))
    }

    fn accelerated(&self) -> bool {
        true
    }

    fn has_vhost(&self) -> bool {
        true
    }

    fn devices(&self, acceleration: Acceleration) -> Vec<Device> {
        COMMON_DEVICES.into_iter().chain((acceleration == Acceleration::Kvm).then_some(KVM)).collect()
    }

    fn supervised(&self) -> Option<&'static str> {
        Some("qemu tells how its guest ended, and stops it, over QMP only")
    }

    fn voice(&self) -> Voice {
        Voice::Qmp
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

/// The board. Guest memory is neither merged with equal pages of others (KSM) nor part of a core dump.
fn board(machine: &Machine<'_>) -> Vec<String> {
    let name = machine.board.name();
    let (options, more): (&str, &[&str]) = match machine.board {
        // The firmware that does nothing but load a kernel; registers as virtio 1.0 has them.
        Board::Microvm => ("", &["-bios", "qboot.rom", "-global", "virtio-mmio.force-legacy=false"]),
        // The newest interrupt controller that there is: the first one ends at eight processors.
        Board::Virt => (",gic-version=max", &[]),
        _ => ("", &[]),
    };
    let board = format!("{name}{options},mem-merge=off,dump-guest-core=off");
    ["-M".to_owned(), board].into_iter().chain(words(more)).collect()
}

/// Machine, processor, memory and kernel.
fn fixed(machine: &Machine<'_>) -> Vec<String> {
    let (accel, cpu) = match (machine.acceleration, machine.board) {
        (Acceleration::Kvm, Board::Virt) => ("kvm".to_owned(), "host"),
        // A nested monitor is nothing a container asked for.
        (Acceleration::Kvm, _) => ("kvm".to_owned(), "host,-vmx,-svm"),
        _ => (format!("tcg,tb-size={TRANSLATION_MIB}"), "max"),
    };
    let bits = match (machine.physical_bits, machine.acceleration) {
        (None, _) => String::new(),
        (Some(bits), Acceleration::Kvm) => format!(",host-phys-bits-limit={bits}"),
        (Some(bits), _) => format!(",phys-bits={bits}"),
    };
    // Without /proc the program finds itself, and from there its modules, by its name.
    let mut args = words(&[machine.program]);
    args.extend(board(machine));
    args.extend(words(&["-nodefaults", "-no-user-config", "-display", "none", "-vga"]));
    args.extend(words(&["none", "-no-reboot", "-m"]));
    args.extend([format!("{}M", machine.memory_mib), "-smp".to_owned(), machine.vcpus.to_string()]);
    args.extend(["-accel".to_owned(), accel]);
    args.extend(["-cpu".to_owned(), format!("{cpu}{bits}")]);
    args.extend(words(&["-L", machine.data, "-sandbox"]));
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
        // Without `vhostforce` QEMU would go on without it, in silence.
        let vhost = if machine.vhost { ",vhost=on,vhostforce=on" } else { "" };
        args.extend(["-netdev".to_owned(), format!("tap,id=net0,fd=3{vhost}"), "-device".to_owned()]);
        // The guest's driver reads the MTU (VIRTIO_NET_F_MTU); its own default is 1500.
        args.push(format!(
            "{},netdev=net0,mac={mac},host_mtu={mtu}{}",
            model("net", machine.nic),
            rom(machine.nic)
        ));
    }
    if let Some(writable) = machine.disk_writable {
        let readonly = if writable { "" } else { ",readonly=on" };
        args.push("-drive".to_owned());
        args.push(format!("format=raw,if=none,id=hd0,file=/guest/disk0{readonly}"));
        args.extend(["-device".to_owned(), format!("{},drive=hd0", model("blk", machine.disk))]);
    }
    if let Some(ExitPort { base, size, .. }) = machine.exit_port {
        args.extend(["-device".to_owned(), format!("isa-debug-exit,iobase={base:#x},iosize={size}")]);
    }
    args
}

/// A device of this model, with the options that make it so.
fn model(kind: &str, model: DeviceModel) -> String {
    match model {
        DeviceModel::VirtioMmio => format!("virtio-{kind}-device"),
        DeviceModel::VirtioPciModern => format!("virtio-{kind}-pci,disable-legacy=on,disable-modern=off"),
        _ => format!("virtio-{kind}-pci"),
    }
}

/// A PCI network device has a ROM to boot from, of which no guest has a use.
fn rom(nic: DeviceModel) -> &'static str {
    if nic == DeviceModel::VirtioMmio { "" } else { ",romfile=" }
}
