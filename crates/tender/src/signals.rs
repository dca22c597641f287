//! What signals do to a running guest: the terminating ones end it with 128 + number, faults keep their default.
//!
//! As pid 1 of a namespace a process without a handler ignores every signal from inside and most from outside; with
//! one, `kill` and `docker stop` work.

use std::mem::size_of;
use std::ptr;

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

/// A place for handlers to run that is not the interrupted code's stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stack {
    /// Lowest address.
    pub(crate) start: u64,
    /// Size.
    pub(crate) bytes: usize,
}

/// Replaces every handler, Rust's and libc's too, which may point into memory that is about to go. `handler` is the
/// address of a function that takes a signal's number and never returns.
pub(crate) fn install(handler: u64, stack: Option<Stack>) -> Result<(), TenderError> {
    if let Some(Stack { start, bytes }) = stack {
        // Disarmed while a handler runs: else a guest whose stack pointer lies in this range could make the frame
        // overflow.
        let stack = libc::stack_t { ss_sp: pointer(start), ss_flags: SS_AUTODISARM, ss_size: bytes };
        // SAFETY: the range is guest memory, which stays mapped for ever.
        if unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } != 0 {
            return Err(TenderError::last("sigaltstack"));
        }
    }
    let on_stack = if stack.is_some() { libc::SA_ONSTACK.unsigned_abs() } else { 0 };
    let flags = SA_RESTORER | u64::from(on_stack);
    // KILL and STOP cannot have an action.
    for signal in (1..=SIGNALS).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP)) {
        let handler = if ends_guest(signal) { handler } else { libc::SIG_DFL as u64 };
        let action = Action { handler, flags, restorer: handler, mask: u64::MAX };
        let rc =
            // SAFETY: the handler stays mapped for ever and never returns, as the caller says.
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, 0, size_of::<u64>()) };
        if rc != 0 {
            return Err(TenderError::last(format!("rt_sigaction {signal}")));
        }
    }
    Ok(())
}

/// Unblocks everything; what was pending ends the guest now.
pub(crate) fn unblock() {
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
