//! What must hold of this process, and what is done to it, before a guest takes it over.

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::TenderError;
use crate::sys::pointer;

const READ_IMPLIES_EXEC: i32 = 0x0040_0000;
const SECCOMP_GET_ACTION_AVAIL: i32 = 2;
const SECCOMP_RET_KILL_PROCESS: u32 = 0x8000_0000;
// <linux/prctl.h>
const PR_SET_SPECULATION_CTRL: i32 = 53;
const PR_SPEC_STORE_BYPASS: libc::c_ulong = 0;
const PR_SPEC_INDIRECT_BRANCH: libc::c_ulong = 1;
const PR_SPEC_FORCE_DISABLE: libc::c_ulong = 8;
const PAGE: u64 = 4096;
/// vdso and vvar together are fewer pages than this, each way.
const WINDOW: u64 = 32 * PAGE;

/// Refuses a process or kernel on which the last steps could fail or the guest's pages could be executable.
pub(crate) fn check() -> Result<(), TenderError> {
    let host = |why: &str| Err(TenderError::Host(why.to_owned()));
    // SAFETY: no memory is involved.
    if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } != 4096 {
        return host("guests need a kernel with pages of 4096 bytes");
    }
    // SAFETY: 0xffffffff only queries.
    let personality = unsafe { libc::personality(0xffff_ffff) };
    if personality & READ_IMPLIES_EXEC != 0 {
        return host("the personality READ_IMPLIES_EXEC makes every page executable");
    }
    let action = SECCOMP_RET_KILL_PROCESS;
    // SAFETY: `action` is a readable u32.
    let known = unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    if known != 0 {
        return host("the kernel has no seccomp filters with KILL_PROCESS (4.14)");
    }
    let alone = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    // SAFETY: changes nothing in a process that is alone with its memory, and gives EINVAL in any other.
    let shared = unsafe { libc::unshare(alone) } != 0;
    if shared && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        return host("another thread or process uses the memory of the one that is about to be the guest");
    }
    // SAFETY: no descriptor has this number.
    if unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) } != 0 {
        return host("the kernel has no close_range (5.9)");
    }
    Ok(())
}

/// Where the kernel's own pages may stay: empty unless vdso and vvar are sealed
/// (`CONFIG_MSEAL_SYSTEM_MAPPINGS`, Linux 6.16), for then no munmap succeeds on them.
///
/// A page whose protection is set to what it is already changes nothing, but EPERM tells that it is sealed; there is
/// no /proc to ask. Sealed pages of this program itself would stay readable to the guest: refused.
pub(crate) fn sealed_window() -> Result<Range<u64>, TenderError> {
    if sealed(check as fn() -> Result<(), TenderError> as usize as u64) {
        return Err(TenderError::Host(
            "this program's memory is sealed (mseal): it cannot be unmapped".to_owned(),
        ));
    }
    // SAFETY: no memory is involved.
    let vdso = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    if vdso == 0 || !sealed(vdso) {
        return Ok(0..0);
    }
    Ok(vdso.saturating_sub(WINDOW)..vdso + WINDOW)
}

/// Whether the page of executable code at `address` is sealed.
fn sealed(address: u64) -> bool {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: the page keeps the protection it has.
    let result = unsafe { libc::mprotect(pointer(address & !(PAGE - 1)), 4096, protection) };
    result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Sets no_new_privs, which a filter needs.
pub(crate) fn forgo_privileges() -> Result<(), TenderError> {
    // SAFETY: no memory is involved.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(TenderError::last("prctl PR_SET_NO_NEW_PRIVS"));
    }
    Ok(())
}

/// Turns off speculation that mixes contexts, where the kernel can: for a guest that is this very process.
pub(crate) fn curb_speculation() {
    for what in [PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH] {
        // SAFETY: no memory is involved. Best effort: hosts differ in what a process may switch.
        unsafe {
            libc::prctl(PR_SET_SPECULATION_CTRL, what, PR_SPEC_FORCE_DISABLE, 0, 0);
        }
    }
}

/// The descriptors that stay open for a guest, ascending: none is 0, 1 or 2.
pub(crate) fn kept<'a>(fds: impl IntoIterator<Item = &'a OwnedFd>) -> Result<Vec<u32>, TenderError> {
    let mut kept: Vec<u32> = fds.into_iter().map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    kept.sort_unstable();
    if kept.first().is_some_and(|fd| *fd <= 2) {
        return Err(TenderError::Host("descriptors 0, 1 and 2 must be open and not be devices".to_owned()));
    }
    Ok(kept)
}

/// Closes every descriptor above 2 that is not among those of [`kept`]. Ends the process, with the monitor's own failure,
/// rather than hand one of the others to a guest.
pub(crate) fn close_all_but(kept: &[u32]) {
    let mut from = 3;
    for fd in kept {
        close_range(from, fd - 1);
        from = fd + 1;
    }
    close_range(from, u32::MAX);
}

fn close_range(from: u32, to: u32) {
    // SAFETY: nobody uses these descriptors afterwards: the process's code is about to go.
    if from <= to && unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) } != 0 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(1) }
    }
}

/// Ends what the kernel does in libc's memory on its own: restartable sequences, registered by glibc, would make the
/// next preemption a fault. musl registers nothing.
pub(crate) fn forget_libc() {
    #[cfg(target_env = "gnu")]
    rseq::unregister();
}

#[cfg(target_env = "gnu")]
mod rseq {
    use crate::sys::pointer;

    const UNREGISTER: i32 = 1;
    const SIGNATURE: u32 = 0x5305_3053;

    /// glibc 2.35 and later say where, relative to the thread pointer.
    pub(crate) fn unregister() {
        // SAFETY: the names are C strings; the symbols, where they exist, are an isize and a u32.
        unsafe {
            let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
            if offset.is_null() {
                return;
            }
            let area = thread_pointer().wrapping_add_signed(*offset as i64);
            // The registered length is 32, or more with newer feature sizes.
            for length in [32, 33, 28, 40, 48, 64] {
                if libc::syscall(libc::SYS_rseq, pointer(area), length, UNREGISTER, SIGNATURE) == 0 {
                    return;
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn thread_pointer() -> u64 {
        let value: u64;
        // SAFETY: the first word of the thread control block is its own address.
        unsafe { std::arch::asm!("mov {}, fs:0", out(reg) value, options(nostack, readonly)) };
        value
    }

    #[cfg(target_arch = "aarch64")]
    fn thread_pointer() -> u64 {
        let value: u64;
        // SAFETY: reads a register.
        unsafe { std::arch::asm!("mrs {}, tpidr_el0", out(reg) value, options(nostack, nomem)) };
        value
    }
}
