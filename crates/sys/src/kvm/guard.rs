//! A time limit for KVM_RUN that needs no signal handler.
//!
//! The alarm is blocked in this thread and unblocked only by KVM_RUN's own signal mask: it interrupts the call and
//! stays pending, where `drop` fetches it. Actions of the process are never touched.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

const ALARM: libc::c_int = libc::SIGALRM;

pub(super) struct Guard {
    /// The kernel's number of the timer: libc has no binding, and a number needs no wrapper.
    timer: libc::c_int,
    before: libc::sigset_t,
}

fn only_alarm() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set before sigaddset changes it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), ALARM);
        set.assume_init()
    }
}

fn set_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid for the call, which writes the whole old one when it succeeds.
    match unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) } {
        // SAFETY: written by the call.
        0 => Ok(unsafe { before.assume_init() }),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// timer_create(2); the signal goes to this thread and no other.
fn new_timer() -> io::Result<libc::c_int> {
    // SAFETY: sigevent is plain data for which zero is valid.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = ALARM;
    // Not libc's gettid: std knows that name as a weak symbol, and link-time optimisation makes it null on musl.
    event.sigev_notify_thread_id = rustix::thread::gettid().as_raw_nonzero().get();
    let mut timer: libc::c_int = 0;
    // SAFETY: both pointers are valid for the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, &raw const event, &raw mut timer)
    };
    if answer == 0 { Ok(timer) } else { Err(io::Error::last_os_error()) }
}

impl Guard {
    /// For KVM_SET_SIGNAL_MASK: everything but the alarm waits until the run is over.
    pub(super) const MASK_WHILE_RUNNING: u64 = !(1 << (ALARM - 1));

    /// The alarm interrupts this thread's KVM_RUN after `limit` (below one second).
    pub(super) fn arm(limit: Duration) -> io::Result<Self> {
        let before = set_mask(libc::SIG_BLOCK, &only_alarm())?;
        let timer = new_timer().inspect_err(|_| drop(set_mask(libc::SIG_SETMASK, &before)))?;
        let guard = Self { timer, before };
        // SAFETY: itimerspec is plain data for which zero is valid.
        let mut once: libc::itimerspec = unsafe { std::mem::zeroed() };
        once.it_value.tv_nsec = limit.subsec_nanos().into();
        // SAFETY: the timer is ours and alive; flags 0 is relative and the old value is not asked for.
        match unsafe { libc::syscall(libc::SYS_timer_settime, guard.timer, 0, &raw const once, 0usize) } {
            0 => Ok(guard),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the timer is deleted once, here; sigtimedwait reads two valid structures and does not wait.
        unsafe {
            libc::syscall(libc::SYS_timer_delete, self.timer);
            libc::sigtimedwait(&only_alarm(), std::ptr::null_mut(), &raw const now);
        }
        let _ = set_mask(libc::SIG_SETMASK, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn an_alarm_interrupts_a_call_that_unblocks_it_and_is_gone_afterwards() {
        let before = mask();
        let guard = Guard::arm(Duration::from_millis(5)).unwrap();
        assert_eq!(mask(), before | 1 << (ALARM - 1));
        let info = wait_for_alarm();
        assert_eq!(info, ALARM);
        drop(guard);
        assert_eq!(mask(), before);
    }

    /// Fetches the pending alarm; blocks until the timer has fired.
    fn wait_for_alarm() -> libc::c_int {
        // SAFETY: a valid set; no details are asked for.
        unsafe { libc::sigwaitinfo(&only_alarm(), std::ptr::null_mut()) }
    }

    #[test]
    fn an_unfetched_alarm_does_not_survive_the_guard() {
        let guard = Guard::arm(Duration::from_millis(1)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        drop(guard); // an alarm that stayed pending would end this test program here
    }
}
