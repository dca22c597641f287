//! What is left to a tender whose guest runs: nine system calls, every descriptor, size and flag pinned.
//!
//! There is no `rt_sigreturn`: handlers end the process.

use urunc_plan::bpf::Insn;
use urunc_plan::syscalls::Abi;

use super::kvm::RUN;
use crate::boot::Attached;
use crate::filter::{Rules, is, is_fd};

/// Events that epoll_pwait(2) may give at once: every device, and the timer.
pub(super) const EVENTS: usize = 64;
/// No timeout of epoll_pwait(2): the timer has it.
pub(super) const FOREVER: u64 = u64::MAX;

/// Descriptors beside those of devices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    /// The guest's processor.
    pub(crate) processor: i32,
    /// Epoll set.
    pub(crate) epoll: i32,
    /// Timer.
    pub(crate) timer: i32,
}

/// The program for these descriptors.
pub(crate) fn program(abi: Abi, own: Own, devices: &[Attached]) -> Vec<Insn> {
    let mut rules = Rules::new(abi);
    rules.allow("ioctl", vec![is_fd(own.processor), is(1, RUN), is(2, 0)]);
    let most = is(2, EVENTS as u64);
    rules.allow("epoll_pwait", vec![is_fd(own.epoll), most, is(3, FOREVER), is(4, 0)]);
    // Relative, and the old time is nobody's concern.
    rules.allow("timerfd_settime", vec![is_fd(own.timer), is(1, 0), is(3, 0)]);
    rules.allow("clock_gettime", vec![is(0, 0)]);
    // The guest's console, and the last word about it.
    rules.allow("write", vec![is_fd(1)]);
    rules.allow("write", vec![is_fd(2)]);
    rules.allow_devices(devices);
    rules.allow("exit_group", vec![]);
    rules.program()
}
