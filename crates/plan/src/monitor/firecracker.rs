//! Firecracker 1.16: its machine is a file of the private root, its API a socket there. It opens the tap itself.
//!
//! Never `--no-seccomp` and never `--enable-pci` (CVE-2026-5747). Without `--log-path` its log goes to the guest's
//! console, and a reader of that who goes away leaves it hanging.

use serde_json::{Value, json};

use super::{COMMON_DEVICES, Device, KVM, Monitor, TUN, words};
use crate::PlanError;
use crate::input::MonitorFacts;
use crate::launch::{Dir, Exec, FIRECRACKER_LOG, Filter, GeneratedFile, Program, Ready, Root, Stderr, Voice};
use crate::machine::{Acceleration, Board, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// `firecracker`.
#[derive(Debug)]
pub(super) struct Firecracker;

/// It makes its socket itself, in a directory that is its user's.
const DIRECTORY: &str = "/run/firecracker";
const CONFIG: &str = "/run/firecracker/machine.json";
const API: &str = "/run/firecracker/api.sock";

/// CMDLINE_MAX_SIZE of its `arch/x86_64/layout.rs`, with the NUL.
const CMDLINE_BYTES: usize = 2048;
/// What it adds to the guest's line, once and for each device.
const ADDED: usize = " pci=off".len();
const ADDED_EACH: usize = " virtio_mmio.device=4K@0xc0001000:5".len();
/// `validate_instance_id` of its `utils/validators.rs`.
const LONGEST_ID: usize = 64;

/// What its own filters allow (`resources/seccomp`), and what starting needs; no io_uring, which it takes for the
/// asynchronous block engine only.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "accept4", "access", "arch_prctl", "bind", "brk", "clock_gettime", "clock_nanosleep", "clone", "clone3",
    "close", "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2",
    "execve", "exit", "exit_group", "fcntl", "fdatasync", "fstat", "fsync", "ftruncate", "futex", "getpid",
    "getrandom", "gettid", "ioctl", "listen", "lseek", "lstat", "madvise", "membarrier", "memfd_create",
    "mincore", "mmap", "mprotect", "mremap", "msync", "munmap", "nanosleep", "newfstatat", "open", "openat",
    "poll", "ppoll", "prctl", "pread64", "prlimit64", "pwrite64", "read", "readlink", "readv", "recvfrom",
    "recvmsg", "restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity",
    "sched_yield", "seccomp", "sendmsg", "sendto", "set_robust_list", "set_tid_address", "sigaltstack",
    "socket", "stat", "statx", "tgkill", "timerfd_create", "timerfd_settime", "tkill", "write", "writev",
];

impl Monitor for Firecracker {
    fn name(&self) -> &'static str {
        "firecracker"
    }

    fn offers(&self, _board: Board) -> Offers {
        Offers {
            boot: &[BootProtocol::Pvh, BootProtocol::Linux64],
            nics: &[DeviceModel::VirtioMmio],
            disks: &[DeviceModel::VirtioMmio],
            initrd: true,
            most_ram_mib: 1 << 20,
            most_vcpus: 32,
            vnet_hdr: true,
            exit_port: false,
        }
    }

    fn program(&self, _arch: &str) -> Option<String> {
        Some("firecracker".to_owned())
    }

    fn accelerated(&self) -> bool {
        true
    }

    fn needs_kvm(&self) -> bool {
        true
    }

    fn opens_tap(&self) -> bool {
        true
    }

    fn check(&self, machine: &Machine<'_>) -> Result<(), PlanError> {
        // A connection may come at `start`: room for it is kept.
        let devices = 1 + usize::from(machine.disk_writable.is_some());
        let (bytes, most) = (machine.cmdline.len(), CMDLINE_BYTES - 1 - ADDED - devices * ADDED_EACH);
        if bytes <= most {
            return Ok(());
        }
        let why =
            format!("{bytes} bytes, firecracker takes {most} of the guest's 2047 and needs the rest itself");
        Err(PlanError::Cmdline { why })
    }

    fn furnish(&self, machine: &Machine<'_>, root: &mut Root) {
        root.dirs.push(Dir { path: DIRECTORY.to_owned(), mode: 0o700, owned: true });
        let file =
            |path: &str, content| GeneratedFile { path: path.to_owned(), mode: 0o600, owned: true, content };
        root.files.push(file(CONFIG, config(machine).to_string()));
        // It may not make one: before 1.10 it opened what was there.
        root.files.push(file(FIRECRACKER_LOG, String::new()));
    }

    /// Only static builds have filters (`resources/seccomp/unimplemented.json`).
    fn remark(&self, facts: &MonitorFacts) -> Option<String> {
        facts.interpreter.as_ref()?;
        Some(
            "this firecracker is dynamically linked: such builds have no system call filter of their own"
                .to_owned(),
        )
    }

    fn supervised(&self) -> Option<&'static str> {
        Some(
            "firecracker does not end on a signal as process 1, and no exit status of its guest's comes through",
        )
    }

    fn voice(&self) -> Voice {
        Voice::Firecracker
    }

    fn devices(&self, _acceleration: Acceleration) -> Vec<Device> {
        COMMON_DEVICES.into_iter().chain([KVM, TUN]).collect()
    }

    /// Its specification promises 5 MiB at most; the files of the private root, the kernel's part of a machine, and page
    /// tables on both sides come to it.
    fn overhead(&self, _acceleration: Acceleration) -> Overhead {
        Overhead { fixed: 12 * MIB, ram_divisor: 256 }
    }

    fn filters(&self) -> Vec<Filter> {
        vec![Filter::Allow(words(ALLOWED))]
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        let mut args = words(&[machine.program, "--api-sock", API, "--id"]);
        args.push(instance(machine.id));
        args.extend(words(&["--config-file", CONFIG, "--log-path", FIRECRACKER_LOG, "--level", "Error"]));
        Exec::Program(Program {
            path: machine.program.to_owned(),
            args,
            env: Vec::new(),
            cwd: "/".to_owned(),
            fds: Vec::new(),
            stderr: Stderr::Log,
            ready: Ready::Api { socket: API.to_owned(), path: "/".to_owned() },
        })
    }
}

/// Its names are of ASCII letters, digits and hyphens.
fn instance(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(LONGEST_ID).collect()
}

/// The machine, in the words of its API; what is not known there is an error there.
fn config(machine: &Machine<'_>) -> Value {
    let mut source = json!({"kernel_image_path": "/guest/kernel", "boot_args": machine.cmdline});
    if machine.initrd {
        source["initrd_path"] = json!("/guest/initrd");
    }
    let disk = |writable: bool| {
        // The guest's own line names its root. Without `Writeback` a flush of the guest's is ignored.
        json!({
            "drive_id": "disk0",
            "path_on_host": "/guest/disk0",
            "is_read_only": !writable,
            "is_root_device": false,
            "cache_type": "Writeback",
        })
    };
    json!({
        "boot-source": source,
        "machine-config": {
            "vcpu_count": machine.vcpus,
            "mem_size_mib": machine.memory_mib,
            "smt": false,
            "track_dirty_pages": false,
        },
        "drives": machine.disk_writable.map(disk).into_iter().collect::<Vec<_>>(),
        "network-interfaces": machine.tap.map(interface).into_iter().collect::<Vec<_>>(),
    })
}

fn interface(tap: &crate::launch::Tap) -> Value {
    let mut interface = json!({"iface_id": "net0", "host_dev_name": tap.name, "guest_mac": tap.mac});
    // Releases before 1.16 know no `mtu`; every guest's own default is this.
    if tap.mtu != 1500 {
        interface["mtu"] = json!(tap.mtu);
    }
    interface
}
