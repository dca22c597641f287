//! What holds whatever is read: properties that several targets share, and the world in which they plan.

pub mod invariants;
pub mod profile;
pub mod world;

use std::fmt::Display;

/// A refusal is one lower-case line of at most 400 bytes, without control characters and without a period at its end.
pub fn refused(error: impl Display) {
    let text = format!("{error:#}");
    assert!(!text.is_empty() && text.len() <= 400, "{} bytes: {text}", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
    let capital = |c: char, next: char| c.is_uppercase() && next.is_lowercase();
    assert!(
        !text.chars().zip(text.chars().skip(1)).next().is_some_and(|(c, next)| capital(c, next)),
        "{text:?}"
    );
    // Cut text ends in three of them.
    assert!(!text.ends_with('.') || text.ends_with("..."), "{text:?}");
}

/// A notice or a warning is one line for the log.
pub fn noticed(text: &str) {
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
}

/// Splits the input of a parser that takes several texts: each ends at a NUL byte, and missing ones are empty.
pub fn texts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut parts = input.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
