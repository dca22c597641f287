//! The programs `solo5-spt` and `solo5-hvt` of Solo5, in place of the built-in tender.

use super::{COMMON_DEVICES, Device, KVM, Monitor, TUN, words};
use crate::PlanError;
use crate::launch::{self, Attach, Exec, Filter, Program, Ready, Stderr, Voice};
use crate::machine::{Acceleration, Board, BootProtocol, DeviceModel, Machine, Offers};
use crate::memory::{MIB, Overhead};

/// One of them.
#[derive(Debug)]
pub(super) struct Solo5 {
    name: &'static str,
    program: &'static str,
    boot: &'static [BootProtocol],
    /// It makes a machine of KVM.
    kvm: bool,
    /// Calls beside [`ALLOWED`].
    more: &'static [&'static str],
}

/// Target spt.
pub(super) static SPT: Solo5 =
    Solo5 { name: "spt", program: "solo5-spt", boot: &[BootProtocol::Solo5Spt], kvm: false, more: &[] };
/// Target hvt. As of Solo5 0.11 it has a thread for its network devices.
pub(super) static HVT: Solo5 = Solo5 {
    name: "hvt",
    program: "solo5-hvt",
    boot: &[BootProtocol::Solo5Hvt],
    kvm: true,
    more: &["clone", "clone3", "eventfd2", "madvise"],
};

/// What the tenders call, with the C library's start and the loader of a guest. They install filters of their own then,
/// which libseccomp writes into a memory file: spt always, hvt as of Solo5 0.11.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "access", "arch_prctl", "bind", "brk", "clock_gettime", "clock_nanosleep", "close", "epoll_create1", "epoll_ctl",
    "epoll_pwait", "execve", "exit", "exit_group", "fcntl", "fstat", "futex", "getpid", "getrandom", "getsockname", "ioctl",
    "lseek", "lstat", "memfd_create", "mmap", "mprotect", "mremap", "munmap", "nanosleep", "newfstatat", "open", "openat",
    "personality", "poll", "ppoll", "prctl", "pread64", "prlimit64", "pwrite64", "read", "readlink", "recvmsg", "rseq",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_yield", "seccomp", "sendto", "set_robust_list",
    "set_tid_address", "sigaltstack", "socket", "stat", "statx", "tgkill", "timerfd_create", "timerfd_settime", "write",
    "writev",
];

impl Monitor for Solo5 {
    fn name(&self) -> &'static str {
        self.name
    }

    fn offers(&self, _board: Board) -> Offers {
        Offers {
            boot: self.boot,
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
        Some(self.program.to_owned())
    }

    fn accelerated(&self) -> bool {
        self.kvm
    }

    fn needs_kvm(&self) -> bool {
        self.kvm
    }

    /// They open block devices for writing, always.
    fn check(&self, machine: &Machine<'_>) -> Result<(), PlanError> {
        if machine.disk_writable != Some(false) {
            return Ok(());
        }
        let Self { name, program, .. } = self;
        let why = format!(
            "{program} takes no read-only block image, which root.readonly asks for; remove monitors.{name}.path, the \
             built-in {name} does"
        );
        Err(PlanError::Pair { why })
    }

    /// As the built-in ones.
    fn ram_step_mib(&self) -> u64 {
        if self.kvm { 2 } else { 1 }
    }

    fn supervised(&self) -> Option<&'static str> {
        Some("as process 1 the tender ignores what stops others")
    }

    fn voice(&self) -> Voice {
        Voice::Solo5
    }

    fn devices(&self, _acceleration: Acceleration) -> Vec<Device> {
        COMMON_DEVICES.into_iter().chain([TUN]).chain(self.kvm.then_some(KVM)).collect()
    }

    /// A descriptor would do for releases before 0.10; later ones do not find out its MTU.
    fn opens_tap(&self) -> bool {
        true
    }

    /// The program and its C library beside what the built-in one needs.
    fn overhead(&self, _acceleration: Acceleration) -> Overhead {
        if self.kvm {
            Overhead { fixed: 6 * MIB, ram_divisor: 170 }
        } else {
            Overhead { fixed: 4 * MIB, ram_divisor: 512 }
        }
    }

    fn filters(&self) -> Vec<Filter> {
        vec![Filter::Allow(words(&[ALLOWED, self.more].concat()))]
    }

    fn render(&self, machine: &Machine<'_>) -> Exec {
        render(machine)
    }
}

/// Options before the kernel; the guest's line is one word, for the tender puts words together with one blank between
/// them.
fn render(machine: &Machine<'_>) -> Exec {
    let tap = machine.tap.map_or("", |tap| &tap.name);
    let mut args = vec![machine.program.to_owned(), format!("--mem={}", machine.memory_mib)];
    for Attach { name, device } in &machine.attach {
        match device {
            launch::Device::Net { mac, .. } => {
                args.extend([format!("--net:{name}={tap}"), format!("--net-mac:{name}={mac}")]);
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
        fds: Vec::new(),
        stderr: Stderr::Log,
        ready: Ready::Exec,
    })
}
