//! The guest's console as it passes by: a copy, or the console itself, which init hands on.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use urunc_plan::supervision::Console;
use urunc_sys::alone;
use urunc_sys::process::{self, Until};

/// Console bytes are fetched this often at most: a flood must not cost more than the guest's own writing.
const REST: Duration = Duration::from_millis(10);
/// Reads of [`CHUNK`] bytes at a time.
const READS: usize = 64;
/// Below `PIPE_BUF`: where poll(2) sees room for something, there is room for this, and a write does not block.
const CHUNK: usize = 1024;

/// The copy of the console.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    fd: Option<BorrowedFd<'static>>,
    /// The container's standard output, if what comes is to go there.
    out: Option<BorrowedFd<'static>>,
    /// There is no room there.
    full: bool,
    rests_until: Option<Duration>,
    pub(super) console: Console,
}

impl Copied {
    pub(super) fn new(fd: BorrowedFd<'static>, out: Option<BorrowedFd<'static>>) -> Self {
        Self { fd: Some(fd), out, full: false, rests_until: None, console: Console::default() }
    }

    /// What is open.
    pub(super) fn fds(&self) -> [Option<BorrowedFd<'static>>; 2] {
        [self.fd, self.out]
    }

    /// What is handed on goes to a file, which may become as long as its reader wants it.
    pub(super) fn fills_file(&self) -> bool {
        use rustix::fs::{FileType, fstat};
        let regular = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
        self.out.and_then(|out| fstat(out).ok()).is_some_and(|stat| regular(stat.st_mode))
    }

    /// What to wait for, unless it is to be left alone for a moment.
    pub(super) fn awaited(&self) -> Until<'static> {
        match (self.rest(), self.fd, self.out) {
            (None, Some(_), Some(out)) if self.full => Until::Writable(out),
            (None, Some(fd), _) => Until::Readable(fd),
            _ => Until::Never,
        }
    }

    /// How long it is to be left alone.
    pub(super) fn rest(&self) -> Option<Duration> {
        let left = self.rests_until?.checked_sub(alone::now())?;
        (!left.is_zero()).then_some(left)
    }

    /// There is more to hand on, or may be.
    pub(super) fn hands_on(&self) -> bool {
        self.fd.is_some() && self.out.is_some()
    }

    /// Takes what has come.
    pub(super) fn fetch(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..READS {
            let Some(fd) = self.fd else { return };
            let room = |out| process::wait_any([Until::Writable(out)], Some(Duration::ZERO)) == [true];
            self.full = self.out.is_some_and(|out| !room(out));
            if self.full {
                return;
            }
            match rustix::io::read(fd, &mut chunk) {
                Ok(count) if count > 0 => self.take(chunk.get(..count).unwrap_or_default()),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => break,
                _ => self.fd = None,
            }
        }
        self.rests_until = Some(alone::now() + REST);
    }

    /// Where nobody reads any more the guest must not notice.
    fn take(&mut self, bytes: &[u8]) {
        self.console.feed(bytes);
        let _ = self.out.map(|out| rustix::io::write(out, bytes));
    }
}
