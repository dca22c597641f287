//! What the monitor says to init: on its control socket, QMP or another one's events; and in its log.

use std::os::fd::BorrowedFd;

use urunc_plan::launch::Voice;
use urunc_plan::supervision::{Events, Lines, Log, Said, hear};

/// Longest line that is looked at: QMP's greeting and every event are far shorter.
const LINE: usize = 2048;
const CHUNK: usize = 1024;
/// Bytes of the monitor's log that are read: a longer one is none.
const LOG: u64 = 1 << 20;

/// A connected control socket.
#[derive(Clone, Copy)]
pub(super) struct Control {
    fd: Option<BorrowedFd<'static>>,
    lines: Lines<LINE>,
    /// Who does not speak QMP.
    events: Option<Events>,
}

impl Control {
    pub(super) fn new(fd: BorrowedFd<'static>, voice: Voice) -> Self {
        let events = (voice != Voice::Qmp).then(Events::default);
        Self { fd: Some(fd), lines: Lines::default(), events }
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
                let events = &mut self.events;
                self.lines.feed(bytes, |line, whole| {
                    each(match events {
                        Some(events) => events.hear(line, whole),
                        None if whole => hear(line),
                        None => Said::Other,
                    });
                });
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

/// The monitor's log; `None` when it is too long to say what is not in it.
pub(super) fn read(log: BorrowedFd<'_>) -> Option<Log> {
    let (mut read, mut at, mut chunk) = (Log::default(), 0, [0; CHUNK]);
    while at < LOG {
        match rustix::io::pread(log, &mut chunk, at) {
            Ok(0) => return Some(read),
            Ok(count) => {
                read.feed(chunk.get(..count).unwrap_or_default());
                at += count as u64;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    None
}
