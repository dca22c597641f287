//! What the commands and init say to each other: typed messages in ordered phases, over `urunc_sys::fdpass`.

use std::io::ErrorKind;
use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::bail;
use serde::{Deserialize, Serialize};
use urunc_plan::LaunchPlan;
use urunc_sys::fdpass;

/// A message, in the order of the phases.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// create → init: cgroups are in place; enter the namespaces.
    Begin,
    /// init → create: in the namespaces.
    Namespaces,
    /// create → init: the runtime's hooks have run; run createContainer hooks and enter the jail. Carries the state
    /// that hooks read.
    Jail {
        /// OCI state as JSON.
        state: String,
    },
    /// init → create: in the jail, without privileges, waiting.
    Created,
    /// start → init: become the monitor, or start it. Descriptors in this order: the tap, if there is one; where init
    /// stays, the place for its record and, with a memory controller, the counter of kills for memory.
    Start {
        /// The final plan.
        plan: Box<LaunchPlan>,
        /// OCI state as JSON, for startContainer hooks.
        state: String,
        /// Seconds that a supervised monitor gets to accept its configuration.
        #[serde(default)]
        patience: u64,
    },
    /// init → start: the next thing is the monitor, or it has accepted its configuration. EOF after this is success.
    Ready,
    /// init → either: the step that failed and why.
    Failed {
        /// `namespaces`, `private root`, `exec`, …
        step: String,
        /// One line.
        message: String,
    },
}

/// Sends one message.
///
/// # Errors
/// The peer is gone.
pub fn send(socket: BorrowedFd<'_>, message: &Message, fds: &[BorrowedFd<'_>]) -> anyhow::Result<()> {
    match fdpass::send(socket, 0, &serde_json::to_vec(message)?, fds) {
        Err(error) if error.source.kind() == ErrorKind::BrokenPipe => bail!("the other process has ended"),
        sent => Ok(sent?),
    }
}

/// The bytes of a message, for a process that will not be able to make one.
///
/// # Errors
/// It is too long.
pub fn frame(message: &Message) -> anyhow::Result<Vec<u8>> {
    Ok(fdpass::frame(0, &serde_json::to_vec(message)?)?)
}

/// Receives one message and its descriptors; `None` when the peer has closed.
///
/// # Errors
/// A frame that is no message.
pub fn receive(socket: BorrowedFd<'_>) -> anyhow::Result<Option<(Message, Vec<OwnedFd>)>> {
    let frame = match fdpass::receive(socket) {
        Err(error) if error.source.kind() == ErrorKind::UnexpectedEof => bail!("the other process has ended"),
        received => received?,
    };
    let Some(frame) = frame else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&frame.payload)?, frame.fds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn foreign_frames_are_errors_not_messages() {
        let (a, b) = fdpass::pair().unwrap();
        send(a.as_fd(), &Message::Ready, &[]).unwrap();
        rustix::io::write(&a, &frame(&Message::Begin).unwrap()).unwrap();
        assert!(matches!(receive(b.as_fd()).unwrap(), Some((Message::Ready, _))));
        assert!(matches!(receive(b.as_fd()).unwrap(), Some((Message::Begin, _))));
        fdpass::send(a.as_fd(), 0, b"{\"Explode\":1}", &[]).unwrap();
        assert!(receive(b.as_fd()).is_err());
        drop(a);
        assert!(receive(b.as_fd()).unwrap().is_none());
    }
}
