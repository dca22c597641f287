//! An HTTP client that shows everything.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A guest that does not answer for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the guest.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// A response.
#[derive(Debug, Default)]
pub struct Response {
    /// Status code; 0 when the connection was closed instead.
    pub status: u16,
    /// Head, without the status line.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body, which is text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    /// The number that the page counts to.
    pub fn count(&self) -> u64 {
        let text = self.text();
        let count = text.lines().find_map(|line| line.strip_prefix("<p>Request ")?.strip_suffix('.'));
        count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no counter: {text}"))
    }
}

/// A request for `path` as a browser sends it.
pub fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: guest\r\n\r\n")
}

impl Client {
    /// A connection; the guest has a place for it.
    pub fn connect(guest: SocketAddr) -> Self {
        Self::try_connect(guest).expect("a connection to the guest")
    }

    /// A connection; `None` when the guest refuses it.
    pub fn try_connect(guest: SocketAddr) -> Option<Self> {
        let stream = match TcpStream::connect_timeout(&guest, PATIENCE) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return None,
            stream => stream.unwrap_or_else(|error| panic!("{guest}: {error}")),
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time limit");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Some(Self { stream: BufReader::new(stream) })
    }

    /// Sends bytes; the guest may have closed already.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Says that nothing more will come.
    pub fn finish(&mut self) {
        // The guest may have ended the connection.
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// The next response; one to a HEAD has no body.
    pub fn response(&mut self, has_body: bool) -> Response {
        let mut response = Response::default();
        let mut line = String::new();
        // A reset is an end as well.
        if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
            return response;
        }
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next());
        response.status = status.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a head");
            if line == "\r\n" {
                break;
            }
            response.head.push_str(&line);
        }
        let length = response.head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).expect("a length");
        if has_body {
            response.body.resize(length, 0);
            self.stream.read_exact(&mut response.body).expect("a whole body");
        }
        response
    }

    /// Asks for `path`.
    pub fn get(&mut self, path: &str) -> Response {
        assert!(self.send(request("GET", path).as_bytes()), "the guest closed the connection");
        self.response(true)
    }

    /// The guest ended the connection without a word.
    pub fn is_reset(&mut self) -> bool {
        self.stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    }

    /// The guest closes, and says nothing more.
    pub fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0]).is_ok_and(|count| count == 0)
    }
}

/// The body of `/bytes/N`: each byte is its position modulo 251.
pub fn is_pattern(body: &[u8]) -> bool {
    body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251)
}
