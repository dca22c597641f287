//! A process that goes on with next to no memory of its own.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use crate::error::{Result, SysError};

/// Size of the new stack: what is not touched costs nothing.
const STACK: usize = 128 << 10;
const PAGE: usize = 4096;
/// vdso and vvar together are fewer pages than this, each way.
const KERNELS: usize = 32 * PAGE;
/// End of the addresses of a process without five-level paging (`TASK_SIZE_MAX`; less on some aarch64 kernels).
#[cfg(target_arch = "x86_64")]
const END: usize = 0x7fff_ffff_f000;
#[cfg(not(target_arch = "x86_64"))]
const END: usize = 1 << 48;

/// A descriptor for the rest of this process's life.
pub fn keep(fd: OwnedFd) -> BorrowedFd<'static> {
    // SAFETY: nobody owns it any more, so that nobody closes it.
    unsafe { BorrowedFd::borrow_raw(fd.into_raw_fd()) }
}

/// Closes what [`keep`] kept; nobody may use it after that.
pub fn close(fd: BorrowedFd<'static>) {
    // SAFETY: kept, so owned by nobody else.
    drop(unsafe { OwnedFd::from_raw_fd(fd.as_raw_fd()) });
}

/// A fresh stack, made while the process may still map memory.
#[derive(Debug)]
pub struct Stack(usize);

impl Stack {
    /// mmap(2).
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if at == libc::MAP_FAILED { Err(SysError::last("mmap", "stack")) } else { Ok(Self(at as usize)) }
    }

    /// Calls `then` on this stack with a copy of `state`, which has no part on the heap because it is `Copy`. Heap, old
    /// stack and all other memory but the program itself are given back first (munmap(2) only): nothing may allocate
    /// any more. Under glibc, whose libraries lie elsewhere, they stay.
    pub fn go_on<T: Copy + 'static>(self, state: T, then: fn(&mut T) -> !) -> ! {
        let top = self.0 + STACK;
        let room = size_of::<Start<T>>().next_multiple_of(64);
        const { assert!(size_of::<Start<T>>() < STACK / 2 && align_of::<Start<T>>() <= 64) };
        let at = (top - room) as *mut Start<T>;
        // SAFETY: the mapping is ours, large enough, and aligned; the old stack is never returned to.
        unsafe {
            at.write(Start { state, then, stack: self.0 });
            switch(at as usize, at.cast(), begin::<T>)
        }
    }
}

struct Start<T> {
    state: T,
    then: fn(&mut T) -> !,
    stack: usize,
}

/// First function on the new stack.
unsafe extern "C" fn begin<T: Copy>(start: *mut Start<T>) -> ! {
    // SAFETY: `go_on` wrote it, above this stack.
    let start = unsafe { &mut *start };
    if cfg!(target_env = "musl") {
        forget(start.stack);
    }
    (start.then)(&mut start.state)
}

/// Unmaps everything but the program and the new stack. The kernel's own pages stay where they are sealed
/// (`CONFIG_MSEAL_SYSTEM_MAPPINGS`, Linux 6.16).
fn forget(stack: usize) {
    unsafe extern "C" {
        static __ehdr_start: u8;
        static _end: u8;
    }
    // SAFETY: the linker's own symbols; only their addresses are taken. getauxval reads what the kernel left.
    let (image, image_end, vdso) = unsafe {
        (&raw const __ehdr_start as usize, &raw const _end as usize, libc::getauxval(libc::AT_SYSINFO_EHDR))
    };
    let vdso = vdso as usize;
    let near = vdso.saturating_sub(KERNELS)..vdso.saturating_add(KERNELS).min(END);
    let mut keep = [(image, image_end.next_multiple_of(PAGE)), (stack, stack + STACK)];
    keep.sort_unstable();
    let mut from = PAGE;
    for (to, next) in keep.into_iter().chain([(END, END)]) {
        // Page by page where some may be sealed: one of them would keep all.
        let (start, end) = (near.start.clamp(from, to), near.end.clamp(from, to));
        unmap(from, start);
        (start..end).step_by(PAGE).for_each(|page| unmap(page, page + PAGE));
        unmap(end, to);
        from = next;
    }
}

fn unmap(from: usize, to: usize) {
    if from < to {
        // SAFETY: nothing there is used again: the state is plain data, and so is what it points to.
        unsafe { libc::syscall(libc::SYS_munmap, from, to - from) };
    }
}

/// CLOCK_MONOTONIC, by a system call: the vdso, which the C library would ask, may be gone.
pub fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to a structure of ours.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// A Unix stream socket that never blocks, for [`try_connect`].
///
/// # Errors
/// socket(2)'s errno.
pub fn unconnected() -> Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|e| SysError::new("socket", "unix", e))
}

/// Connects it to a path, of at most 107 bytes; `false`: nobody listens there.
pub fn try_connect(fd: BorrowedFd<'_>, path: &[u8]) -> bool {
    use rustix::net::{SocketAddrUnix, connect};
    SocketAddrUnix::new(path).is_ok_and(|address| connect(fd, &address).is_ok())
}

/// Sets the stack pointer and calls `then`.
///
/// # Safety
/// Below `stack`, which is aligned to 16 bytes, there is writable memory; `argument` is what `then` expects.
unsafe fn switch<T>(stack: usize, argument: *mut T, then: unsafe extern "C" fn(*mut T) -> !) -> ! {
    // SAFETY: as the caller says; control never comes back.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!(
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {then}",
            "ud2",
            stack = in(reg) stack,
            then = in(reg) then,
            in("rdi") argument,
            options(noreturn),
        );
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!(
            "mov sp, {stack}",
            "mov x29, xzr",
            "blr {then}",
            "brk #1",
            stack = in(reg) stack,
            then = in(reg) then,
            in("x0") argument,
            options(noreturn),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::process::{Fork, clone3, exit_now, reap};

    #[test]
    fn a_copy_of_the_state_goes_on() {
        let (reader, writer) = crate::process::pipe().unwrap();
        match clone3(0, None).unwrap() {
            Fork::Child => Stack::new().unwrap().go_on((keep(writer), [7_u8; 3000]), |(fd, bytes)| {
                bytes[2999] = 9;
                let written = rustix::io::write(*fd, &bytes[2998..]);
                exit_now(if written == Ok(2) { 42 } else { 1 })
            }),
            Fork::Parent(child) => {
                drop(writer);
                assert_eq!(reap(child.pidfd.as_fd()).unwrap(), 42);
                let mut bytes = [0; 8];
                assert_eq!(rustix::io::read(&reader, &mut bytes), Ok(2));
                assert_eq!(bytes[..2], [7, 9]);
            }
        }
    }
}
