//! HTTP/1.1 without a socket (RFC 9110, RFC 9112): bytes in, bytes out.

mod answer;
mod connection;
mod request;
mod site;
#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use request::{Method, Parser, Request};
pub use site::{LARGEST, Resource, Site};

/// The status codes that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 200.
    Ok,
    /// 400: no HTTP, or not by its rules. The connection ends, because nobody knows where the next request begins.
    BadRequest,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 414.
    UriTooLong,
    /// 431 (RFC 6585).
    HeaderFieldsTooLarge,
    /// 505.
    VersionNotSupported,
}

impl Status {
    /// Code and reason phrase.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::UriTooLong => "414 URI Too Long",
            Self::HeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Self::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}
