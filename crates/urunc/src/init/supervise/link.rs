//! The monitor's side channels: its control socket, and the copy of the guest's console.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use urunc_plan::supervision::{Console, Lines, Said, hear};
use urunc_sys::alone;

/// Longest line of QMP that is looked at: the greeting and every event are far shorter.
const LINE: usize = 2048;
/// Console bytes are fetched this often at most: a flood must not cost more than the guest's own writing.
const REST: Duration = Duration::from_millis(10);
/// Reads of [`CHUNK`] bytes at a time.
const READS: usize = 64;
const CHUNK: usize = 1024;

/// A connected control socket.
#[derive(Clone, Copy)]
pub(super) struct Control {
    fd: Option<BorrowedFd<'static>>,
    lines: Lines<LINE>,
}

impl Control {
    pub(super) fn new(fd: BorrowedFd<'static>) -> Self {
        Self { fd: Some(fd), lines: Lines::default() }
    }

    /// What to wait for; nothing once the monitor has closed it.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'static>> {
        self.fd
    }

    /// Says a command; `false` when the monitor does not read, or is gone.
    pub(super) fn say(&self, command: &[u8]) -> bool {
        self.fd.is_some_and(|fd| rustix::io::write(fd, command) == Ok(command.len()))
    }

    /// Takes what has come, once, and calls `each` with what every line says; a line too long says nothing. `false` when
    /// there was nothing.
    pub(super) fn hear(&mut self, mut each: impl FnMut(Said<'_>)) -> bool {
        let mut chunk = [0; CHUNK];
        let Some(fd) = self.fd else { return false };
        match rustix::io::read(fd, &mut chunk) {
            Ok(count) if count > 0 => {
                let bytes = chunk.get(..count).unwrap_or_default();
                self.lines.feed(bytes, |line, whole| each(if whole { hear(line) } else { Said::Other }));
                true
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
            _ => {
                self.fd = None;
                false
            }
        }
    }
}

/// The copy of the console.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    fd: Option<BorrowedFd<'static>>,
    rests_until: Option<Duration>,
    pub(super) console: Console,
}

impl Copied {
    pub(super) fn new(fd: BorrowedFd<'static>) -> Self {
        Self { fd: Some(fd), rests_until: None, console: Console::default() }
    }

    /// What to wait for, unless it is to be left alone for a moment.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'static>> {
        self.fd.filter(|_| self.rest().is_none())
    }

    /// How long it is to be left alone.
    pub(super) fn rest(&self) -> Option<Duration> {
        let left = self.rests_until?.checked_sub(alone::now())?;
        (!left.is_zero()).then_some(left)
    }

    /// Takes what has come.
    pub(super) fn fetch(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..READS {
            let Some(fd) = self.fd else { return };
            match rustix::io::read(fd, &mut chunk) {
                Ok(count) if count > 0 => self.console.feed(chunk.get(..count).unwrap_or_default()),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => break,
                _ => self.fd = None,
            }
        }
        self.rests_until = Some(alone::now() + REST);
    }
}
