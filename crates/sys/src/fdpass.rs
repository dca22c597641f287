//! Frames and descriptors over a Unix stream socket: kind, length, payload; descriptors travel with the header.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::error::{Result, SysError};

/// Longest payload accepted, bytes: a plan with the largest command line, environment and filter stays far below.
pub const MAX_PAYLOAD: usize = 16 << 20;
/// Most descriptors in one frame.
pub const MAX_FDS: usize = 16;

/// One message.
#[derive(Debug)]
pub struct Frame {
    /// Meaning, agreed by both ends.
    pub kind: u8,
    /// Content.
    pub payload: Vec<u8>,
    /// Descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

fn error(op: &'static str, source: impl Into<io::Error>) -> SysError {
    SysError::new(op, "handshake socket", source)
}

/// A connected pair, close-on-exec.
///
/// # Errors
/// socketpair(2)'s errno.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| error("socketpair", e))
}

/// Address of `name` in the directory, by descriptor: the directory's own path may be longer than an address holds. The
/// working directory needs no /proc.
fn address(dir: BorrowedFd<'_>, name: &str) -> Result<SocketAddrUnix> {
    let path = match dir.as_raw_fd() {
        libc::AT_FDCWD => name.to_owned(),
        fd => format!("/proc/self/fd/{fd}/{name}"),
    };
    SocketAddrUnix::new(path).map_err(|e| error("address", e))
}

fn socket() -> Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| error("socket", e))
}

/// A listener bound in the directory, mode 0600.
///
/// # Errors
/// bind(2)'s or listen(2)'s errno.
pub fn listen(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let fd = socket()?;
    // fchmod before bind decides the mode of the file: there is no moment with another one.
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o600)).map_err(|e| error("chmod", e))?;
    rustix::net::bind(&fd, &address(dir, name)?).map_err(|e| error("bind", e))?;
    rustix::net::listen(&fd, 8).map_err(|e| error("listen", e))?;
    Ok(fd)
}

/// Connects to a listener in the directory.
///
/// # Errors
/// ENOENT or ECONNREFUSED when nobody listens.
pub fn connect(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let fd = socket()?;
    rustix::net::connect(&fd, &address(dir, name)?).map_err(|e| error("connect to", e))?;
    Ok(fd)
}

/// Connects to a socket by path (an engine's console socket).
///
/// # Errors
/// connect(2)'s errno, naming the path.
pub fn connect_path(path: &std::path::Path) -> Result<OwnedFd> {
    let named = |e: io::Error| SysError::new("connect to", path.display().to_string(), e);
    let address = SocketAddrUnix::new(path).map_err(|e| named(e.into()))?;
    let fd = socket()?;
    rustix::net::connect(&fd, &address).map_err(|e| named(e.into()))?;
    Ok(fd)
}

/// Accepts one connection from a process of our user or of `creator`; strangers are closed.
///
/// # Errors
/// accept(2)'s errno.
pub fn accept(listener: BorrowedFd<'_>, creator: u32) -> Result<OwnedFd> {
    loop {
        match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(fd) => {
                let peer = peer_uid(fd.as_fd())?;
                if peer == creator || peer == rustix::process::geteuid().as_raw() {
                    return Ok(fd);
                }
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
            Err(e) => return Err(error("accept", e)),
        }
    }
}

/// User id of the peer at the time it connected (SO_PEERCRED), as the caller's user namespace shows it. Its pid is 0 when
/// it lives in an outer pid namespace, which rustix's type for it cannot hold: hence libc.
///
/// # Errors
/// getsockopt(2)'s errno.
pub fn peer_uid(fd: BorrowedFd<'_>) -> Result<u32> {
    peer(fd).map(|peer| peer.uid)
}

/// Who the other end of a Unix socket was when it connected or listened (unix(7), `SO_PEERCRED`). Its pid is 0 when it
/// is in a pid namespace out of our sight.
pub(crate) fn peer(fd: BorrowedFd<'_>) -> Result<libc::ucred> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut size = size_of::<libc::ucred>() as u32;
    // SAFETY: the kernel writes at most `size` bytes into `peer`.
    let rc = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut size,
        )
    };
    if rc == 0 { Ok(peer) } else { Err(SysError::last("peercred", "socket")) }
}

/// Gives up on a peer that does not answer: every later send or receive fails with EAGAIN after this time.
///
/// # Errors
/// setsockopt(2)'s errno.
pub fn set_timeout(fd: BorrowedFd<'_>, timeout: Duration) -> Result<()> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    set_socket_timeout(fd, Timeout::Recv, Some(timeout))
        .and_then(|()| set_socket_timeout(fd, Timeout::Send, Some(timeout)))
        .map_err(|e| error("timeout", e))
}

fn too_long() -> SysError {
    error("send", io::Error::from_raw_os_error(libc::EMSGSIZE))
}

fn header(kind: u8, payload: &[u8]) -> Result<[u8; 5]> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD);
    let [a, b, c, d] = length.ok_or_else(too_long)?.to_le_bytes();
    Ok([kind, a, b, c, d])
}

/// A frame without descriptors as the bytes that are sent, for a process that will not be able to make one.
///
/// # Errors
/// EMSGSIZE.
pub fn frame(kind: u8, payload: &[u8]) -> Result<Vec<u8>> {
    Ok([&header(kind, payload)?, payload].concat())
}

/// Sends one frame.
///
/// # Errors
/// EPIPE when the peer is gone.
pub fn send(fd: BorrowedFd<'_>, kind: u8, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    if fds.len() > MAX_FDS {
        return Err(too_long());
    }
    send_with_fds(fd, &header(kind, payload)?, fds)?;
    let mut rest = payload;
    while !rest.is_empty() {
        match rustix::net::send(fd, rest, SendFlags::NOSIGNAL) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(error("send to", e)),
        }
    }
    Ok(())
}

/// Sends a few bytes and descriptors in one message (also the console socket's protocol: a name and the terminal).
///
/// # Errors
/// EPIPE when the peer is gone.
pub fn send_with_fds(fd: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::<u8>::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    loop {
        let sent = rustix::net::sendmsg(fd, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
        match sent {
            Ok(count) if count == bytes.len() => return Ok(()),
            Ok(_) => return Err(error("send to", io::Error::from(io::ErrorKind::WriteZero))),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(error("send to", e)),
        }
    }
}

/// Receives one descriptor sent by [`send_with_fds`]: the other end of the console socket's protocol.
///
/// # Errors
/// UnexpectedEof when the peer sent none.
pub fn receive_fd(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut fds = Vec::new();
    receive_with_fds(fd, &mut [0; 4096], &mut fds)?;
    fds.pop().ok_or_else(|| error("receive from", io::Error::from(io::ErrorKind::UnexpectedEof)))
}

/// Receives one frame; `None` when the peer closed before the first byte.
///
/// # Errors
/// EAGAIN after [`set_timeout`]; EMSGSIZE for a longer payload; UnexpectedEof inside a frame.
pub fn receive(fd: BorrowedFd<'_>) -> Result<Option<Frame>> {
    let mut header = [0_u8; 5];
    let mut fds = Vec::new();
    let first = receive_with_fds(fd, &mut header, &mut fds)?;
    if first == 0 {
        return Ok(None);
    }
    fill(fd, header.get_mut(first..).unwrap_or_default())?;
    let length = u32::from_le_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if length > MAX_PAYLOAD {
        return Err(error("receive from", io::Error::from_raw_os_error(libc::EMSGSIZE)));
    }
    let mut payload = vec![0; length];
    fill(fd, &mut payload)?;
    Ok(Some(Frame { kind: header[0], payload, fds }))
}

fn receive_with_fds(fd: BorrowedFd<'_>, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> Result<usize> {
    let mut space = [MaybeUninit::<u8>::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [io::IoSliceMut::new(bytes)];
        match rustix::net::recvmsg(fd, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            // It closed without having read all we sent: closed all the same.
            Err(rustix::io::Errno::CONNRESET) => return Ok(0),
            other => break other.map_err(|e| error("receive from", e))?,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = message {
            fds.extend(list);
        }
    }
    Ok(received.bytes)
}

fn fill(fd: BorrowedFd<'_>, mut bytes: &mut [u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::net::recv(fd, &mut *bytes, RecvFlags::empty()) {
            Ok((_, 0)) => return Err(error("receive from", io::Error::from(io::ErrorKind::UnexpectedEof))),
            Ok((_, count)) => bytes = bytes.get_mut(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(error("receive from", e)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_bytes_and_descriptors() {
        let (a, b) = pair().unwrap();
        let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        send(a.as_fd(), 7, b"payload", &[null.as_fd()]).unwrap();
        send(a.as_fd(), 8, b"", &[]).unwrap();
        drop(a);
        let frame = receive(b.as_fd()).unwrap().unwrap();
        assert_eq!((frame.kind, frame.payload.as_slice(), frame.fds.len()), (7, &b"payload"[..], 1));
        assert_eq!(receive(b.as_fd()).unwrap().unwrap().kind, 8);
        assert!(receive(b.as_fd()).unwrap().is_none());
    }

    #[test]
    fn a_length_beyond_the_limit_and_a_cut_frame_are_errors() {
        let (a, b) = pair().unwrap();
        send_with_fds(a.as_fd(), &[1, 0xff, 0xff, 0xff, 0x7f], &[]).unwrap();
        assert_eq!(receive(b.as_fd()).unwrap_err().source.raw_os_error(), Some(libc::EMSGSIZE));
        let (a, b) = pair().unwrap();
        send_with_fds(a.as_fd(), &[1, 9, 0, 0, 0, b'x'], &[]).unwrap();
        drop(a);
        assert_eq!(receive(b.as_fd()).unwrap_err().source.kind(), io::ErrorKind::UnexpectedEof);
    }
}
