//! What signals do to a running guest: the terminating ones end it with 128 + number, faults keep their default.
//!
//! As pid 1 of a namespace a process without a handler ignores every signal from inside and most from outside; with
//! one, `kill` and `docker stop` work.

use std::mem::size_of;
use std::ptr;

use super::trampoline::{self, ALTSTACK, ALTSTACK_BYTES};
use crate::TenderError;
use crate::sys::pointer;

const SA_RESTORER: u64 = 0x0400_0000;
const SS_AUTODISARM: i32 = i32::MIN;
const SIGNALS: i32 = 64;

/// `struct sigaction` as the kernel has it; libc's own cannot name a restorer.
#[repr(C)]
struct Action {
    handler: u64,
    flags: u64,
    restorer: u64,
    mask: u64,
}

/// Replaces every handler: Rust's and libc's point into memory that is about to go.
pub(super) fn install() -> Result<(), TenderError> {
    let stack = libc::stack_t {
        ss_sp: pointer(ALTSTACK),
        // Disarmed while a handler runs: else a guest whose stack pointer lies in this range could make the frame
        // overflow.
        ss_flags: SS_AUTODISARM,
        ss_size: ALTSTACK_BYTES,
    };
    // SAFETY: the range is guest memory, which stays mapped for ever.
    if unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } != 0 {
        return Err(TenderError::last("sigaltstack"));
    }
    let handler = trampoline::handler();
    let flags = SA_RESTORER | u64::from(libc::SA_ONSTACK.unsigned_abs());
    // KILL and STOP cannot have an action.
    for signal in (1..=SIGNALS).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP)) {
        let handler = if ends_guest(signal) { handler } else { libc::SIG_DFL as u64 };
        let action = Action { handler, flags, restorer: handler, mask: u64::MAX };
        let rc =
            // SAFETY: the handler is in the trampoline page, which stays mapped for ever, and never returns.
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, 0, size_of::<u64>()) };
        if rc != 0 {
            return Err(TenderError::last(format!("rt_sigaction {signal}")));
        }
    }
    Ok(())
}

/// Unblocks everything; what was pending ends the guest now.
pub(super) fn unblock() {
    let none = 0u64;
    // SAFETY: `none` is a kernel signal set.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0, size_of::<u64>());
    }
}

/// Every signal whose default action terminates, but for faults: those must show as what they are, the process's
/// death by that signal.
fn ends_guest(signal: i32) -> bool {
    use libc::{SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSYS, SIGTRAP};
    use libc::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    let fault = matches!(signal, SIGBUS | SIGFPE | SIGILL | SIGSEGV | SIGSYS | SIGTRAP);
    let harmless =
        matches!(signal, SIGCHLD | SIGCONT | SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU | SIGURG | SIGWINCH);
    !fault && !harmless && signal != SIGKILL
}
