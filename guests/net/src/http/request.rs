//! The head of a request, from bytes that come in any portions.

use super::{Resource, Status};

/// Longest line of a head, bytes without its end.
const LINE: usize = 2048;
/// Most lines of a head, and most empty lines before one.
const LINES: u32 = 64;

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// Any other.
    Other,
}

/// A request whose head is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub method: Method,
    /// Of which resource.
    pub resource: Resource,
    /// The connection may serve another request.
    pub persistent: bool,
}

/// Reads one head after the other. A body is not read: whoever sends one gets an answer and no second one.
#[derive(Debug)]
pub struct Parser {
    line: [u8; LINE],
    len: usize,
    lines: u32,
    head: Option<Head>,
}

impl Default for Parser {
    fn default() -> Self {
        Self { line: [0; LINE], len: 0, lines: 0, head: None }
    }
}

impl Parser {
    /// Takes bytes up to the end of the head. Returns how many, and the request when its head is complete, or the
    /// status to refuse it with; nothing that follows a refusal has a meaning.
    pub fn push(&mut self, input: &[u8]) -> (usize, Option<Result<Request, Status>>) {
        for (index, byte) in input.iter().enumerate() {
            let outcome = match byte {
                b'\n' => self.end_line().transpose(),
                _ => self.push_byte(*byte).err().map(Err),
            };
            if outcome.is_some() {
                return (index + 1, outcome);
            }
        }
        (input.len(), None)
    }

    fn push_byte(&mut self, byte: u8) -> Result<(), Status> {
        // Garbage need not be a whole line to be known as such. A carriage return belongs to the line's end.
        if (byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r'))
            || self.line[..self.len].ends_with(b"\r")
        {
            return Err(Status::BadRequest);
        }
        let place = self.line.get_mut(self.len).ok_or(match self.head {
            None => Status::UriTooLong,
            Some(_) => Status::HeaderFieldsTooLarge,
        })?;
        *place = byte;
        self.len += 1;
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<Request>, Status> {
        let line = &self.line[..self.len];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.len = 0;
        self.lines += 1;
        if self.lines > LINES {
            return Err(Status::HeaderFieldsTooLarge);
        }
        match &mut self.head {
            // RFC 9112, 2.2: a robust server ignores empty lines before a request.
            None if line.is_empty() => {}
            None => self.head = Some(Head::parse(line)?),
            Some(head) if line.is_empty() => {
                let request = head.finish()?;
                (self.lines, self.head) = (0, None);
                return Ok(Some(request));
            }
            Some(head) => head.field(line)?,
        }
        Ok(None)
    }
}

/// What the lines so far say.
#[derive(Debug)]
// Independent of each other, as the fields are that they come from.
#[allow(clippy::struct_excessive_bools)]
struct Head {
    method: Method,
    resource: Resource,
    /// HTTP/1.0.
    old: bool,
    hosts: u32,
    close: bool,
    keep_alive: bool,
    body: bool,
}

impl Head {
    /// The request line: `METHOD TARGET HTTP/1.x` (RFC 9112, 3).
    fn parse(line: &[u8]) -> Result<Self, Status> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Status::BadRequest);
        };
        if !is_token(method) {
            return Err(Status::BadRequest);
        }
        let old = match version {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => *minor == b'0',
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(Status::VersionNotSupported);
            }
            _ => return Err(Status::BadRequest),
        };
        let method = match method {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            _ => Method::Other,
        };
        let resource = Resource::parse(target).ok_or(Status::BadRequest)?;
        Ok(Self { method, resource, old, hosts: 0, close: false, keep_alive: false, body: false })
    }

    /// A field line, `NAME: VALUE` (RFC 9112, 5). A folded line has no name, and is refused as one.
    fn field(&mut self, line: &[u8]) -> Result<(), Status> {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Status::BadRequest)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) {
            return Err(Status::BadRequest);
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("host") {
            self.hosts += 1;
        } else if is("connection") {
            for option in value.split(|byte| *byte == b',') {
                self.close |= option.trim_ascii().eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("content-length") {
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(Status::BadRequest);
            }
            self.body |= value.iter().any(|digit| *digit != b'0');
        } else if is("transfer-encoding") {
            self.body = true;
        }
        Ok(())
    }

    fn finish(&self) -> Result<Request, Status> {
        // RFC 9112, 3.2: one Host, which HTTP/1.0 does not know.
        if self.hosts > 1 || (self.hosts == 0 && !self.old) {
            return Err(Status::BadRequest);
        }
        let persistent = !self.close && !self.body && (!self.old || self.keep_alive);
        Ok(Request { method: self.method, resource: self.resource, persistent })
    }
}

/// RFC 9110, 5.6.2.
fn is_token(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
