//! The part of D-Bus that is needed to ask systemd for a scope: one connection, method calls and signals, with one
//! deadline for all of it. Source: D-Bus Specification 0.42.

mod message;
#[cfg(test)]
mod tests;

use crate::{Result, SysError, fdpass};
use message::{HEADER, Kind, MAX_MESSAGE, parse};
pub(crate) use message::{Message, Reader, Writer};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest line of the authentication.
const MAX_LINE: usize = 512;

/// Where a method is called; the body is a [`Writer`]'s.
pub(crate) struct Call<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    pub(crate) signature: &'a str,
    pub(crate) body: &'a [u8],
}

/// The bus itself.
const BUS: Call<'static> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    signature: "",
    body: &[],
};

/// What a method answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Return(Message),
    /// Name of the error and its text.
    Error(String, String),
}

/// A connection to a message bus.
pub(crate) struct Connection {
    stream: UnixStream,
    deadline: Instant,
    serial: u32,
    /// Signals that came while an answer was awaited.
    signals: VecDeque<Message>,
}

impl Connection {
    /// Connects to the bus that listens at `socket` and says hello. All that is done with the connection has to be done
    /// after `patience`.
    ///
    /// # Errors
    /// Nobody listens, or does not answer in time.
    pub(crate) fn open(socket: &Path, patience: Duration) -> Result<Self> {
        let error = |source: io::Error| SysError::new("connect to", socket.display().to_string(), source);
        let deadline = Instant::now() + patience;
        let stream = connect(socket, patience).map_err(error)?;
        let mut connection = Self { stream, deadline, serial: 0, signals: VecDeque::new() };
        connection.authenticate().map_err(error)?;
        match connection.call(&BUS)? {
            Answer::Return(_) => Ok(connection),
            Answer::Error(name, text) => Err(error(io::Error::other(format!("{name}: {text}")))),
        }
    }

    /// The bus numbers processes as we do.
    pub(crate) fn shares_our_pids(&self) -> Result<bool> {
        fdpass::peer(self.stream.as_fd()).map(|peer| peer.pid != 0)
    }

    /// Asks the bus for the signals that meet a rule (specification, "Match Rules").
    pub(crate) fn subscribe(&mut self, rule: &str) -> Result<()> {
        let mut body = Writer::default();
        body.string(rule);
        match self.call(&Call { member: "AddMatch", signature: "s", body: &body.bytes, ..BUS })? {
            Answer::Return(_) => Ok(()),
            Answer::Error(name, text) => Err(SysError::new(
                "subscribe to",
                "D-Bus signals",
                io::Error::other(format!("{name}: {text}")),
            )),
        }
    }

    /// Calls a method and waits for its answer.
    pub(crate) fn call(&mut self, call: &Call<'_>) -> Result<Answer> {
        let error =
            |source| SysError::new("call", format!("{}.{} over D-Bus", call.interface, call.member), source);
        self.serial += 1;
        let message = message::method_call(call, self.serial);
        self.send(&message).map_err(error)?;
        loop {
            let message = self.receive().map_err(error)?;
            match message.kind {
                Kind::Signal => self.signals.push_back(message),
                Kind::Return if message.reply_to == self.serial => return Ok(Answer::Return(message)),
                Kind::Error if message.reply_to == self.serial => {
                    let text = Reader::new(&message.body).string().unwrap_or_default().to_owned();
                    return Ok(Answer::Error(message.error, text));
                }
                _ => {}
            }
        }
    }

    /// The next signal.
    pub(crate) fn signal(&mut self) -> Result<Message> {
        loop {
            if let Some(signal) = self.signals.pop_front() {
                return Ok(signal);
            }
            let message =
                self.receive().map_err(|source| SysError::new("wait for", "a D-Bus signal", source))?;
            if message.kind == Kind::Signal {
                return Ok(message);
            }
        }
    }

    /// SASL's EXTERNAL: the kernel says who we are, we only claim it (specification, "Authentication Protocol").
    fn authenticate(&mut self) -> io::Result<()> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        // In hexadecimal, and the digit N is the character 0x3N.
        let claim: String = uid.chars().flat_map(|digit| ['3', digit]).collect();
        self.send(format!("\0AUTH EXTERNAL {claim}\r\n").as_bytes())?;
        // The other end says no more than this line until we go on.
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            if line.len() > MAX_LINE {
                return Err(io::Error::other("it does not speak D-Bus"));
            }
            let mut byte = [0];
            self.fill(&mut byte)?;
            line.push(byte[0]);
        }
        if !line.starts_with(b"OK ") {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the bus does not accept us"));
        }
        self.send(b"BEGIN\r\n")
    }

    fn receive(&mut self) -> io::Result<Message> {
        let mut bytes = vec![0; HEADER];
        self.fill(&mut bytes)?;
        let foreign = || io::Error::other("a message of D-Bus is broken");
        let length = message::length(&bytes).filter(|length| *length <= MAX_MESSAGE).ok_or_else(foreign)?;
        bytes.resize(length, 0);
        self.fill(&mut bytes[HEADER..])?;
        parse(&bytes).ok_or_else(foreign)
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(late()) } else { Ok(left) }
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) => again(error)?,
            }
        }
        Ok(())
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match rustix::net::send(&self.stream, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => bytes = &bytes[count..],
                Err(errno) => again(errno.into())?,
            }
        }
        Ok(())
    }
}

/// Timeouts come as EAGAIN; the deadline is looked at before the next try.
fn again(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(()),
        _ => Err(error),
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// connect(2) with a timeout: it waits while the listener's queue is full.
fn connect(socket: &Path, patience: Duration) -> io::Result<UnixStream> {
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&fd, Timeout::Send, Some(patience))?;
    match rustix::net::connect(&fd, &SocketAddrUnix::new(socket)?) {
        Err(rustix::io::Errno::AGAIN) => Err(late()),
        outcome => outcome.map(|()| fd.into()).map_err(Into::into),
    }
}
