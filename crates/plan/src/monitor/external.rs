//! The programs `solo5-spt` and `solo5-hvt` of Solo5, in place of the built-in tender.

use super::{COMMON_DEVICES, Device, Monitor, words};
use crate::PlanError;
use crate::launch::{self, Attach, Exec, FdSource, Filter, Program, Ready, Stderr};
use crate::machine::{Acceleration, Board, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// The external tender of target spt.
#[derive(Debug)]
pub(super) struct Spt;

/// What the tenders call, with the C library's start and the loader of a guest; spt then installs nine of its own.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "access", "arch_prctl", "brk", "clock_gettime", "clock_nanosleep", "close", "epoll_create1", "epoll_ctl",
    "epoll_pwait", "execve", "exit", "exit_group", "fcntl", "fstat", "futex", "getpid", "getrandom", "ioctl",
    "lseek", "lstat", "mmap", "mprotect", "mremap", "munmap", "nanosleep", "newfstatat", "open", "openat",
    "personality", "poll", "ppoll", "prctl", "pread64", "prlimit64", "pwrite64", "read", "readlink", "rseq",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_yield", "seccomp", "set_robust_list",
    "set_tid_address", "sigaltstack", "stat", "statx", "tgkill", "timerfd_create", "timerfd_settime", "write",
    "writev",
];

impl Monitor for Spt {
    fn name(&self) -> &'static str {
        "spt"
    }

    fn offers(&self, _board: Board) -> Offers {
        Offers {
            boot: &[BootProtocol::Solo5Spt],
            nics: &[DeviceModel::Solo5],
            disks: &[DeviceModel::Solo5],
            initrd: false,
            most_ram_mib: 4096,
            most_vcpus: 1,
            vnet_hdr: false,
            exit_port: false,
        }
    }

    fn program(&self, _arch: &str) -> Option<String> {
        Some("solo5-spt".to_owned())
    }

    fn check(&self, machine: &Machine<'_>) -> Result<(), PlanError> {
        check(self.name(), machine)
    }

    fn devices(&self, _acceleration: Acceleration) -> Vec<Device> {
        COMMON_DEVICES.to_vec()
    }

    /// The program and its C library beside what the built-in one needs.
    fn overhead(&self, _acceleration: Acceleration) -> Overhead {
        Overhead { fixed: 4 * MIB, ram_divisor: 512 }
    }

    fn filters(&self) -> Vec<Filter> {
        vec![Filter::Allow(words(ALLOWED))]
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        render(machine)
    }
}

/// They open block devices for writing, always.
fn check(name: &str, machine: &Machine<'_>) -> Result<(), PlanError> {
    if machine.disk_writable == Some(false) {
        let why = format!(
            "solo5-{name} takes no read-only block image, which root.readonly asks for; remove monitors.{name}.path, the \
             built-in {name} does"
        );
        return Err(PlanError::Pair { why });
    }
    Ok(())
}

/// Options before the kernel; the guest's line is one word, for the tender puts words together with one blank between
/// them.
fn render(machine: &Machine<'_>) -> Exec {
    let mut args = vec![machine.program.to_owned(), format!("--mem={}", machine.memory_mib)];
    for Attach { name, device } in &machine.attach {
        match device {
            launch::Device::Net { mac, .. } => {
                args.extend([format!("--net:{name}=@3"), format!("--net-mac:{name}={mac}")]);
            }
            launch::Device::Block { file, .. } => args.push(format!("--block:{name}=/guest/{file}")),
        }
    }
    args.extend(["--".to_owned(), "/guest/kernel".to_owned(), machine.cmdline.clone()]);
    Exec::Program(Program {
        path: machine.program.to_owned(),
        args,
        env: Vec::new(),
        cwd: "/".to_owned(),
        fds: machine.tap.map(|_| FdSource::Tap).into_iter().collect(),
        stderr: Stderr::Log,
        ready: Ready::Exec,
    })
}
