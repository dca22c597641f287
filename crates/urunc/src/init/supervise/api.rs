//! A monitor's API, over which it is told once to stop its guest.

use std::os::fd::BorrowedFd;

use urunc_plan::launch::{Ready, Voice};
use urunc_plan::supervision::{Answer, Text};
use urunc_sys::alone;

/// Longest path of a Unix socket, unix(7).
const PATH: usize = 107;

/// The request, and the socket for it, which is made while sockets can be made: the monitor listens later.
#[derive(Clone, Copy)]
pub(super) struct Api {
    fd: Option<BorrowedFd<'static>>,
    path: Text<PATH>,
    request: &'static [u8],
    answer: Answer,
    asked: bool,
}

impl Api {
    /// Of a monitor that has one.
    pub(super) fn of(voice: Voice, ready: &Ready) -> anyhow::Result<Option<Self>> {
        let (Some(request), Ready::Api { socket, .. }) = (voice.requests(), ready) else { return Ok(None) };
        let fd = Some(alone::keep(alone::unconnected()?));
        let path = Text::cut(socket.as_bytes());
        Ok(Some(Self { fd, path, request, answer: Answer::default(), asked: false }))
    }

    /// What is open.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'static>> {
        self.fd
    }

    /// What to wait for: the answer, once there was a question.
    pub(super) fn awaited(&self) -> Option<BorrowedFd<'static>> {
        self.fd.filter(|_| self.asked)
    }

    /// Asks; `false` when nobody listens, or does not take it at once.
    pub(super) fn ask(&mut self) -> bool {
        let Some(fd) = self.fd else { return false };
        self.asked = alone::try_connect(fd, self.path.bytes())
            && rustix::io::write(fd, self.request) == Ok(self.request.len());
        self.asked
    }

    /// Takes what has come: was it accepted? The rest of the answer is nobody's.
    pub(super) fn answered(&mut self) -> Option<bool> {
        let (fd, mut chunk) = (self.awaited()?, [0; 64]);
        let accepted = match rustix::io::read(fd, &mut chunk) {
            Ok(count) if count > 0 => {
                self.answer.feed(chunk.get(..count).unwrap_or_default());
                self.answer.accepted()
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => None,
            _ => Some(false),
        };
        if accepted.is_some() {
            self.fd = None;
            alone::close(fd);
        }
        accepted
    }
}
