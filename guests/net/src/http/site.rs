//! What is served.

use core::fmt::Write as _;

use super::answer::{Answer, Body};
use super::{Method, Request, Status};
use crate::Text;

/// Most bytes of `/bytes/N`.
pub const LARGEST: u64 = 1 << 30;

/// What a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// `/`: a page about the guest.
    Page,
    /// `/env`: the guest's command line.
    Cmdline,
    /// `/bytes/N`: so many bytes.
    Bytes(u64),
    /// `/bytes/` and no number up to [`LARGEST`].
    NoNumber,
    /// Anything else.
    Unknown,
}

impl Resource {
    /// The resource of a request's target, a path or a URI with one (RFC 9112, 3.2); `None` when it is neither.
    pub fn parse(target: &[u8]) -> Option<Self> {
        if !target.is_ascii() {
            return None;
        }
        let path = match target {
            [b'/', ..] => target,
            b"*" => return Some(Self::Unknown),
            _ => authority_less(target)?,
        };
        let path = path.split(|byte| *byte == b'?').next().unwrap_or(path);
        Some(match path {
            b"" | b"/" => Self::Page,
            b"/env" => Self::Cmdline,
            _ => path.strip_prefix(b"/bytes/").map_or(Self::Unknown, Self::bytes),
        })
    }

    fn bytes(digits: &[u8]) -> Self {
        let number = digits.iter().try_fold(0u64, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        });
        match number.filter(|number| !digits.is_empty() && *number <= LARGEST) {
            Some(number) => Self::Bytes(number),
            None => Self::NoNumber,
        }
    }
}

/// `http://HOST/PATH` without scheme and host.
fn authority_less(uri: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"http://";
    let (scheme, rest) = uri.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let host = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    (host > 0).then(|| &rest[host..])
}

/// The guest as its page shows it.
#[derive(Debug, Default)]
pub struct Site {
    /// Name of the guest.
    pub name: &'static str,
    /// Its addresses.
    pub addresses: Text<128>,
    /// Its command line, as it came.
    pub cmdline: &'static str,
    /// Requests so far, refused ones included.
    pub requests: u64,
}

impl Site {
    /// The answer, counted.
    pub(super) fn answer(&mut self, outcome: Result<Request, Status>) -> Answer {
        self.requests += 1;
        let request = match outcome {
            Ok(request) => request,
            Err(status) => return Answer::refusal(status, Method::Get, false),
        };
        let Request { method, resource, persistent } = request;
        let refusal = |status| Answer::refusal(status, method, persistent);
        match resource {
            Resource::Unknown => refusal(Status::NotFound),
            _ if method == Method::Other => refusal(Status::MethodNotAllowed),
            Resource::NoNumber => refusal(Status::BadRequest),
            Resource::Page => {
                let page = self.page();
                Answer::new(&request, "text/html; charset=utf-8", Body::Short, page.as_bytes())
            }
            Resource::Cmdline => {
                Answer::new(&request, "text/plain; charset=utf-8", Body::Text(self.cmdline.as_bytes()), &[])
            }
            Resource::Bytes(count) => {
                Answer::new(&request, "application/octet-stream", Body::pattern(count), &[])
            }
        }
    }

    fn page(&self) -> Text<512> {
        let mut page = Text::new();
        let Self { name, requests, .. } = self;
        let addresses = self.addresses.as_str();
        // A text takes everything.
        let _ = write!(
            page,
            "<!DOCTYPE html>\n<title>{name}</title>\n<h1>{name}</h1>\n\
             <p>A unikernel at {addresses}.\n<p>Request {requests}.\n"
        );
        page
    }
}
