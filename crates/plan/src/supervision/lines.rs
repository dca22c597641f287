//! Bounded text and lines.

use std::fmt;

/// At most `N` bytes; what does not fit is cut.
#[derive(Debug, Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Text<N> {
    /// The beginning of `bytes`.
    pub fn cut(bytes: &[u8]) -> Self {
        let mut text = Self::default();
        text.push(bytes);
        text
    }

    /// Appends what fits; `false` when that is not all.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let count = bytes.len().min(room.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.length += count;
        count == bytes.len()
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.length = 0;
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Cuts a stream into lines of at most `N` bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines<const N: usize> {
    line: Text<N>,
    overlong: bool,
}

impl<const N: usize> Lines<N> {
    /// Takes bytes and calls `each` with every complete line, without its end, and whether it is all of the line.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.overlong |= !self.line.push(line);
            each(self.line.bytes().trim_ascii_end(), !self.overlong);
            self.line.clear();
            self.overlong = false;
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.overlong |= !self.line.push(bytes);
    }

    /// The line that has not ended.
    pub fn rest(&self) -> &[u8] {
        self.line.bytes()
    }
}

/// Where `what` begins.
pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = b"one\r\n\ntoo long for it\nlast\nrest";
        for size in 1..text.len() {
            let (mut lines, mut seen) = (Lines::<8>::default(), Vec::new());
            for piece in text.chunks(size) {
                lines.feed(piece, |line, whole| seen.push((line.to_vec(), whole)));
            }
            let expected: [(&[u8], bool); 4] =
                [(b"one", true), (b"", true), (b"too long", false), (b"last", true)];
            let expected = expected.map(|(line, whole)| (line.to_vec(), whole));
            assert_eq!((seen.as_slice(), lines.rest()), (&expected[..], &b"rest"[..]));
        }
    }
}
