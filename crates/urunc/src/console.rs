//! The terminal of a foreground `run`: ours is made raw and relayed to the container's.

use std::io::{IsTerminal, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::termios::{self, OptionalActions, Termios};
use urunc_sys::{fdpass, pty};

/// Between our standard streams and the container's terminal; nothing when it has none.
#[derive(Debug)]
pub struct Relay {
    controller: Option<OwnedFd>,
    /// Our terminal as it was; restored on drop.
    saved: Option<Termios>,
    input_open: bool,
}

impl Relay {
    /// No terminal: the container has our standard streams.
    pub fn none() -> Self {
        Self { controller: None, saved: None, input_open: false }
    }

    /// Takes the container's terminal from init and makes ours raw.
    ///
    /// # Errors
    /// Init sent none.
    pub fn receive(socket: BorrowedFd<'_>) -> anyhow::Result<Self> {
        let controller = fdpass::receive_fd(socket)?;
        rustix::io::ioctl_fionbio(&controller, true)?;
        let saved = stdin().is_terminal().then(|| termios::tcgetattr(stdin()).ok()).flatten();
        if let Some(mut raw) = saved.clone() {
            raw.make_raw();
            termios::tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        }
        Ok(Self { controller: Some(controller), saved, input_open: true })
    }

    /// What to wait for.
    pub fn readable(&self) -> Vec<BorrowedFd<'_>> {
        let Some(controller) = &self.controller else { return Vec::new() };
        let mut fds = vec![controller.as_fd()];
        if self.input_open {
            fds.push(rustix::stdio::stdin());
        }
        fds
    }

    /// Our size becomes the container's.
    pub fn resize(&self) {
        if let (Some(controller), Ok(size)) = (&self.controller, termios::tcgetwinsize(stdin())) {
            let _ = pty::set_size(controller.as_fd(), size.ws_row, size.ws_col);
        }
    }

    /// Moves what is there, both ways, without blocking on a side that has nothing.
    pub fn pump(&mut self) {
        let Some(controller) = &self.controller else { return };
        copy(controller.as_fd(), stdout().as_fd());
        let now = Some(std::time::Duration::ZERO);
        let pending = urunc_sys::process::wait_readable(&[rustix::stdio::stdin()], now);
        if self.input_open && pending.is_ok_and(|ready| ready == [true]) {
            self.input_open = copy(rustix::stdio::stdin(), controller.as_fd());
        }
    }

    /// The container's last words.
    pub fn drain(&mut self) {
        if let Some(controller) = &self.controller {
            while copy(controller.as_fd(), stdout().as_fd()) {}
        }
    }
}

/// One buffer's worth; false at the end of the source or when it has nothing.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut buffer = [0; 4096];
    let Ok(count @ 1..) = rustix::io::read(from, &mut buffer) else { return false };
    let mut rest = buffer.get(..count).unwrap_or_default();
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
    true
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = termios::tcsetattr(stdin(), OptionalActions::Now, saved);
        }
    }
}
