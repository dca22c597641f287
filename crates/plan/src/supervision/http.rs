//! The answer of a monitor's API to the request that stops its guest: its status line (RFC 9112, section 4), and no more.

use super::lines::Text;

/// Up to the first digit of the status.
const ACCEPTED: &[u8] = b"HTTP/1.1 2";

/// The beginning of an answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer {
    line: Text<{ ACCEPTED.len() }>,
}

impl Answer {
    /// Takes a piece, of which there may be more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.line.push(bytes);
    }

    /// Was it accepted? `None` until that much has come.
    pub fn accepted(&self) -> Option<bool> {
        let line = self.line.bytes();
        (line.len() == ACCEPTED.len() || !ACCEPTED.starts_with(line)).then_some(line == ACCEPTED)
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    fn said(text: &str) -> Option<bool> {
        let mut answer = Answer::default();
        text.as_bytes().chunks(3).for_each(|piece| answer.feed(piece));
        answer.accepted()
    }

    #[test]
    fn the_status_line_says_it() {
        let ok = "HTTP/1.1 204 \r\nServer: Firecracker API\r\n\r\n";
        for length in 0..ok.len() {
            assert_eq!(said(&ok[..length]), (length > 9).then_some(true), "{length}");
        }
        assert_eq!(said("HTTP/1.1 400 \r\n"), Some(false));
        assert_eq!(said("HTTP/1.0 200 \r\n"), Some(false));
        assert_eq!(said("{\"return\": {}}"), Some(false));
        assert_eq!(said("x"), Some(false));
        assert_eq!(said(&"HTTP/1.1 2".repeat(1000)), Some(true));
    }
}
