//! The guest's console: what Linux says there about its end, and the last of all it said.

use super::lines::{Lines, Text, find};

/// Longest line that is looked at.
const LINE: usize = 240;
/// Bytes of the end that are kept.
const TAIL: usize = 2048;
/// kernel/panic.c.
const PANIC: &[u8] = b"Kernel panic - not syncing: ";
/// kernel/exit.c: `exitcode=0x%08x`, as wait(2) has it.
const EXIT: &[u8] = b"Attempted to kill init! exitcode=0x";
/// kernel/reboot.c.
const RESTART: &[u8] = b"reboot: Restarting system";

/// A copy of the console, as it passes by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Console {
    lines: Lines<LINE>,
    panic: Text<LINE>,
    restart: bool,
    tail: Tail,
}

impl Console {
    /// Takes what was written.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.tail.push(bytes);
        let (panic, restart) = (&mut self.panic, &mut self.restart);
        self.lines.feed(bytes, |line, _| {
            if let Some(at) = find(line, PANIC) {
                *panic = Text::cut(line.get(at + PANIC.len()..).unwrap_or_default());
            }
            *restart |= find(line, RESTART).is_some();
        });
    }

    /// Why Linux panicked, if it said so.
    pub fn panic(&self) -> Option<&[u8]> {
        Some(self.panic.bytes()).filter(|text| !text.is_empty())
    }

    /// Status of the guest's process 1 whose end was that panic, as a shell has it.
    pub fn init_status(&self) -> Option<u8> {
        let digits = self.panic.bytes().strip_prefix(EXIT)?.get(..8)?;
        let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        let [signal, status, ..] = code.to_le_bytes();
        Some(match signal & 0x7f {
            0 => status,
            number => 128 + number,
        })
    }

    /// Linux restarted on purpose.
    pub fn restarted(&self) -> bool {
        self.restart
    }

    /// The end of what was written, in two parts.
    pub fn tail(&self) -> [&[u8]; 2] {
        self.tail.parts()
    }
}

/// The last bytes of a stream.
#[derive(Debug, Clone, Copy)]
struct Tail {
    ring: [u8; TAIL],
    next: usize,
    full: bool,
}

impl Default for Tail {
    fn default() -> Self {
        Self { ring: [0; TAIL], next: 0, full: false }
    }
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.ring.get_mut(self.next) {
                *place = *byte;
            }
            self.next = (self.next + 1) % TAIL;
            self.full |= self.next == 0;
        }
    }

    fn parts(&self) -> [&[u8]; 2] {
        let (new, old) = self.ring.split_at(self.next.min(TAIL));
        [if self.full { old } else { &[] }, new]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Console {
        let mut console = Console::default();
        for piece in text.as_bytes().chunks(7) {
            console.feed(piece);
        }
        console
    }

    #[test]
    fn linux_says_how_its_first_process_ended() {
        let line = "[    2.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x";
        for (code, status) in
            [("00000100", 1), ("00002a00", 42), ("0000000b", 139), ("0000008b", 139), ("00000000", 0)]
        {
            let console = heard(&format!("a\n{line}{code}\r\n[    2.3] CPU: 0\n[ 2.4]  </TASK>\n"));
            assert_eq!(console.init_status(), Some(status), "{code}");
        }
        let console = heard("Kernel panic - not syncing: VFS: Unable to mount root fs\nmore\n");
        assert_eq!(console.init_status(), None);
        assert_eq!(console.panic(), Some(&b"VFS: Unable to mount root fs"[..]));
        assert!(!console.restarted() && heard("[1] reboot: Restarting system\r\n").restarted());
        assert_eq!(heard("no end: Kernel panic - not syncing: x").panic(), None);
        assert_eq!(heard(&format!("{line}zz\n")).init_status(), None);
    }

    #[test]
    fn the_tail_is_the_last_of_it() {
        assert_eq!(heard("ab").tail().concat(), b"ab");
        let long: String = ('a'..='z').cycle().take(3000).collect();
        assert_eq!(heard(&long).tail().concat(), &long.as_bytes()[3000 - TAIL..]);
    }
}
