//! System calls by number: a hostile program uses no library.
#![allow(unsafe_code)]

use std::io;

/// The working directory, for calls that take a directory.
pub(super) const CWD: usize = libc::AT_FDCWD.cast_unsigned() as usize;

/// Any call with up to six arguments; pointers are passed as numbers.
pub(super) fn call(number: libc::c_long, arguments: &[usize]) -> io::Result<usize> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or_default();
    // SAFETY: the tables pass pointers to live values of the type that the call expects, or numbers that are none. What
    // a call does to this process is the point, and it is a child that ends after its try.
    let answer = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}

/// [`call`] whose answer does not matter.
pub(super) fn ask(number: libc::c_long, arguments: &[usize]) -> io::Result<()> {
    call(number, arguments).map(drop)
}

/// [`ask`] where these errors come only after the permission was given: to go on would hurt the host.
pub(super) fn gate(number: libc::c_long, arguments: &[usize], behind: &[i32]) -> io::Result<()> {
    match ask(number, arguments) {
        Err(error) if error.raw_os_error().is_some_and(|code| behind.contains(&code)) => Ok(()),
        other => other,
    }
}

/// A number of any sign.
pub(super) fn signed(number: i32) -> usize {
    (number as isize).cast_unsigned()
}

/// Address of a value.
pub(super) fn at<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<()>() as usize
}

/// Address of a value that the kernel may write.
pub(super) fn place<T: ?Sized>(value: &mut T) -> usize {
    std::ptr::from_mut(value).cast::<()>() as usize
}

/// A NUL-terminated copy of `text`.
pub(super) fn c(text: &str) -> Vec<u8> {
    text.bytes().chain([0]).collect()
}

/// A child with a copy of everything; 0 in the child. By `clone`, for `fork` is not what monitors call.
pub(super) fn fork() -> io::Result<usize> {
    call(libc::SYS_clone, &[libc::SIGCHLD as usize])
}

/// Ends a child without a destructor.
pub(super) fn exit() -> ! {
    loop {
        // It does not return; a filter may answer with an error.
        let _ = call(libc::SYS_exit_group, &[0]);
    }
}

/// SIGKILL to a process of one thread.
pub(super) fn kill(pid: usize) {
    // It may have ended by itself.
    let _ = call(libc::SYS_tgkill, &[pid, pid, libc::SIGKILL as usize]);
}

/// The set of SIGCHLD alone, as the kernel has it.
const CHILD: u64 = 1 << (libc::SIGCHLD - 1);

/// How the ends of children are heard of, by what monitors call themselves; nobody has to reap them.
pub(super) struct Ends(usize);

impl Ends {
    /// From here on.
    pub(super) fn expect() -> io::Result<Self> {
        // SAFETY: an action without handler; zero is a valid value of its other fields.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_flags = libc::SA_NOCLDWAIT;
            libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut());
        }
        ask(libc::SYS_rt_sigprocmask, &[libc::SIG_BLOCK as usize, at(&CHILD), 0, size_of::<u64>()])?;
        let flags = libc::SFD_CLOEXEC as usize;
        call(libc::SYS_signalfd4, &[signed(-1), at(&CHILD), size_of::<u64>(), flags]).map(Self)
    }

    /// The signal that ended a child, or its exit code; `None` when none ends within so many milliseconds.
    pub(super) fn next(&self, milliseconds: i32) -> Option<i32> {
        let time = [i64::from(milliseconds / 1000), 0];
        let fd = i32::try_from(self.0).ok()?;
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let ready = call(libc::SYS_ppoll, &[place(&mut poll), 1, at(&time), 0, size_of::<u64>()]);
        // struct signalfd_siginfo (signalfd(2)): ten numbers before `ssi_status`.
        let mut info = [0_i32; 32];
        ready.ok().filter(|count| *count == 1)?;
        call(libc::SYS_read, &[self.0, place(&mut info), size_of_val(&info)]).ok()?;
        Some(info[10])
    }
}

/// A number that parent and child share; the kernel gives them a page.
pub(super) struct Shared(*mut i32);

impl Shared {
    /// With this value.
    pub(super) fn new(value: i32) -> io::Result<Self> {
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as usize;
        let page = call(libc::SYS_mmap, &[0, 4096, protection, flags, signed(-1), 0])?;
        let shared = Self(std::ptr::with_exposed_provenance_mut(page));
        shared.set(value);
        Ok(shared)
    }

    pub(super) fn set(&self, value: i32) {
        // SAFETY: the page is mapped, writable and aligned until `self` is dropped.
        unsafe { self.0.write_volatile(value) };
    }

    pub(super) fn get(&self) -> i32 {
        // SAFETY: as above.
        unsafe { self.0.read_volatile() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = call(libc::SYS_munmap, &[self.0.expose_provenance(), 4096]);
    }
}
