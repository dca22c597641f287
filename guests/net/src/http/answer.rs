//! A response on its way out.

use core::fmt::Write as _;

use super::{Method, Request, Status};
use crate::Text;

/// Period of the bytes that `/bytes/N` sends: a prime, so that a byte that is missing or doubled shows in all that
/// follow.
const PERIOD: usize = 251;
/// The pattern often enough that long pieces can be copied.
static PATTERN: [u8; PERIOD * 33] = {
    let mut bytes = [0; PERIOD * 33];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = (at % PERIOD) as u8;
        at += 1;
    }
    bytes
};

/// What follows the head.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing but what is stored behind the head.
    Short,
    /// Text that outlives the answer.
    Text(&'static [u8]),
    /// So many bytes of the pattern, from this place in it.
    Pattern { left: u64, at: usize },
}

impl Body {
    pub(super) fn pattern(count: u64) -> Self {
        Self::Pattern { left: count, at: 0 }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Short => 0,
            Self::Text(text) => text.len() as u64,
            Self::Pattern { left, .. } => *left,
        }
    }

    /// The next bytes, as many as are at hand.
    fn next(&self) -> &'static [u8] {
        match self {
            Self::Short => &[],
            Self::Text(text) => text,
            Self::Pattern { left, at } => {
                let piece = &PATTERN[*at..];
                let len = usize::try_from(*left).map_or(piece.len(), |left| piece.len().min(left));
                &piece[..len]
            }
        }
    }

    /// Drops bytes of [`Body::next`].
    fn skip(&mut self, count: usize) {
        match self {
            Self::Short => {}
            Self::Text(text) => *text = &text[count..],
            Self::Pattern { left, at } => {
                *left -= count as u64;
                *at = (*at + count) % PERIOD;
            }
        }
    }
}

/// A response, some of it sent already.
#[derive(Debug)]
pub(super) struct Answer {
    /// Head, and a body that is made for this answer.
    stored: Text<1024>,
    sent: usize,
    body: Body,
    /// Another request may follow.
    pub(super) persistent: bool,
}

impl Answer {
    /// The answer 200 with a body, of which `short` is copied.
    pub(super) fn new(request: &Request, kind: &str, body: Body, short: &[u8]) -> Self {
        let length = short.len() as u64 + body.len();
        let mut answer = Self::head(Status::Ok, kind, length, request.persistent);
        if request.method == Method::Get {
            answer.stored.push(short);
            answer.body = body;
        }
        answer
    }

    /// The answer that is no success; its body is the status.
    pub(super) fn refusal(status: Status, method: Method, persistent: bool) -> Self {
        let line = status.line();
        let mut answer = Self::head(status, "text/plain; charset=utf-8", line.len() as u64 + 1, persistent);
        if method != Method::Head {
            answer.stored.push(line.as_bytes());
            answer.stored.push(b"\n");
        }
        answer
    }

    fn head(status: Status, kind: &str, length: u64, persistent: bool) -> Self {
        let allow = if status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        // HTTP/1.0 clients want to hear that the connection stays.
        let connection = if persistent { "keep-alive" } else { "close" };
        let mut stored = Text::new();
        // A text takes everything.
        let _ = write!(
            stored,
            "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}Connection: {connection}\r\n\r\n",
            status.line()
        );
        Self { stored, sent: 0, body: Body::Short, persistent }
    }

    /// Moves bytes to `out`; returns how many.
    pub(super) fn send(&mut self, out: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            let stored = &self.stored.as_bytes()[self.sent..];
            let next = if stored.is_empty() { self.body.next() } else { stored };
            let count = next.len().min(out.len() - filled);
            if count == 0 {
                break;
            }
            out[filled..filled + count].copy_from_slice(&next[..count]);
            filled += count;
            if stored.is_empty() { self.body.skip(count) } else { self.sent += count }
        }
        filled
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.stored.as_bytes().len() && self.body.next().is_empty()
    }
}
