//! Container ids.

/// Longest id, bytes: NAME_MAX of the file systems that a state root may be on.
pub const MAX: usize = 255;

/// Is this a container id? runc's rule (`^[\w+.-]+$`, neither `.` nor `..`), with a limit on its length: an id
/// is a directory name below the state root and nothing else.
pub fn valid(id: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || b"_+.-".contains(&c);
    !id.is_empty() && id.len() <= MAX && id != "." && id != ".." && id.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule() {
        for good in ["a", "A_b+c.d-9", "...", "-x", &"x".repeat(255)] {
            assert!(valid(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../x", "a b", "a\n", "ä", ":a", "a\0", &"x".repeat(256)] {
            assert!(!valid(bad), "{bad:?}");
        }
    }
}
