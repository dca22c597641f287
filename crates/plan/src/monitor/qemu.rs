//! QEMU as an exec'ed program: machine q35, no default device, one serial line, QMP on an inherited socket.

use super::{COMMON_DEVICES, Device, Monitor};
use crate::launch::{Exec, FdSource, Filter, Program, Ready, Stderr, Tap};
use crate::machine::{Acceleration, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// `qemu`.
#[derive(Debug)]
pub(super) struct Qemu;

/// Translation buffer of TCG, MiB: less makes it several times slower, the default takes a quarter of the RAM.
const TRANSLATION_MIB: u64 = 16;
/// The QMP socket in the private root.
const QMP: &str = "/run/qmp.sock";

/// System calls that no QEMU of ours makes: they change what the jail rests on, or are large kernel attack surface.
const DENIED: &[&str] = &[
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
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

    /// Measured with QEMU 7.2: q35 with TCG peaks at 51 MiB beside the RAM, and page tables take 1/512 of it.
    fn overhead(&self, acceleration: Acceleration) -> Overhead {
        let translation = if acceleration == Acceleration::Kvm { 0 } else { TRANSLATION_MIB };
        Overhead { fixed: (52 + translation) * MIB, ram_divisor: 512 }
    }

    fn filter(&self) -> Option<Filter> {
        Some(Filter::Deny(DENIED.iter().map(|name| (*name).to_owned()).collect()))
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        let mut fds: Vec<FdSource> = machine.tap.map(|_| FdSource::Tap).into_iter().collect();
        let control = 3 + fds.len();
        fds.push(FdSource::Listener(QMP.to_owned()));
        let mut args = fixed(machine);
        args.extend(devices(machine));
        args.extend(words(&["-chardev", "stdio,id=con0,mux=off,signal=off", "-serial", "chardev:con0"]));
        args.extend(["-chardev".to_owned(), format!("socket,id=qmp,fd={control},server=on,wait=off")]);
        args.extend(words(&["-mon", "chardev=qmp,mode=control"]));
        Exec::Program(Program {
            path: machine.program.to_owned(),
            args,
            env: Vec::new(),
            cwd: "/".to_owned(),
            fds,
            stderr: Stderr::Log,
            ready: Ready::Qmp(QMP.to_owned()),
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
    let mut args =
        words(&[machine.program, "-M", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-vga"]);
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
    let mut args = Vec::new();
    if let Some(Tap { mac, .. }) = machine.tap {
        args.extend(words(&["-netdev", "tap,id=net0,fd=3", "-device"]));
        args.push(format!("virtio-net-pci,netdev=net0,mac={mac},romfile="));
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
