//! Guest command lines: a builder that refuses what cannot be carried.

use crate::PlanError;
use crate::error::excerpt;

/// Longest command line of a Solo5 guest, bytes without the NUL.
pub const SOLO5_LIMIT: usize = 8191;
/// Longest command line of guests that a boot loader's structure points to, bytes with the kernel's path that QEMU puts in
/// front and the NUL: 8192, the buffer of Unikraft and of Solo5's virtio target.
pub const MULTIBOOT_LIMIT: usize = 8192 - "/guest/kernel ".len() - 1;
/// Longest Linux command line, bytes without the NUL: COMMAND_LINE_SIZE of x86 and arm64 is 2048.
pub const LINUX_LIMIT: usize = 2047;

/// Words joined with single spaces, up to a limit.
#[derive(Debug)]
pub struct Line {
    text: String,
    limit: usize,
    empty: bool,
}

impl Line {
    /// An empty line that may become `limit` bytes long.
    pub fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, empty: true }
    }

    /// Appends a word as it is.
    ///
    /// # Errors
    /// A NUL byte, which ends every guest's command line.
    pub fn word(&mut self, word: &str) -> Result<(), PlanError> {
        if word.contains('\0') {
            return Err(PlanError::Cmdline { why: "a word contains a NUL byte".to_owned() });
        }
        if !self.empty {
            self.text.push(' ');
        }
        self.empty = false;
        self.text.push_str(word);
        Ok(())
    }

    /// Appends words as they are.
    ///
    /// # Errors
    /// As [`Line::word`].
    pub fn words(&mut self, words: &[String]) -> Result<(), PlanError> {
        words.iter().try_for_each(|word| self.word(word))
    }

    /// The line.
    ///
    /// # Errors
    /// It is longer than its limit.
    pub fn finish(self) -> Result<String, PlanError> {
        if self.text.len() > self.limit {
            let why = format!("{} bytes, the guest takes at most {}", self.text.len(), self.limit);
            return Err(PlanError::Cmdline { why });
        }
        Ok(self.text)
    }
}

/// The refusal of a word that the guest's syntax cannot express; long words are cut.
pub fn cannot_carry(guest: &str, what: &str, word: &str) -> PlanError {
    PlanError::Cmdline { why: format!("{guest} cannot carry {what} in \"{}\"", excerpt(word)) }
}

/// The refusal of a command without a word, for guests that are told one.
pub fn no_command() -> PlanError {
    PlanError::Cmdline { why: "process.args names no program".to_owned() }
}
