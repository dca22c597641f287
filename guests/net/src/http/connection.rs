//! One connection: requests in order, one answer at a time.

use super::answer::Answer;
use super::{Parser, Site};

/// A connection.
#[derive(Debug, Default)]
pub struct Connection {
    parser: Parser,
    answer: Option<Answer>,
    last: bool,
}

impl Connection {
    /// Takes bytes of the client; returns how many. It takes none before the answer to the previous request is sent,
    /// and none after the last.
    pub fn receive(&mut self, input: &[u8], site: &mut Site) -> usize {
        if self.answer.is_some() || self.last {
            return 0;
        }
        let (taken, outcome) = self.parser.push(input);
        if let Some(outcome) = outcome {
            let answer = site.answer(outcome);
            self.last = !answer.persistent;
            self.answer = Some(answer);
        }
        taken
    }

    /// Moves bytes for the client to `out`; returns how many.
    pub fn send(&mut self, out: &mut [u8]) -> usize {
        let Some(answer) = &mut self.answer else { return 0 };
        let count = answer.send(out);
        if answer.is_sent() {
            self.answer = None;
        }
        count
    }

    /// There is something to send.
    pub fn is_answering(&self) -> bool {
        self.answer.is_some()
    }

    /// The last answer is sent: whatever the client says now has no meaning.
    pub fn is_over(&self) -> bool {
        self.last && self.answer.is_none()
    }
}
