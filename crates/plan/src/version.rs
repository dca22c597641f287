//! Versions of guests, as far as something depends on them.

/// MAJOR.MINOR.PATCH of a release, or a preview of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    numbers: [u32; 3],
    /// A preview (`-rc1`) comes before its release.
    released: bool,
}

impl Version {
    /// A release.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { numbers: [major, minor, patch], released: true }
    }

    /// Reads `v0.16.1`, `0.17`, `0.16.0-rc2` and `0.20.0~5a22d73` (a build of 0.20.0); `None` for what begins with no
    /// number.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = [0; 3];
        for (number, part) in numbers.iter_mut().zip(text[..end].trim_end_matches('.').split('.')) {
            *number = part.parse().ok()?;
        }
        Some(Self { numbers, released: !text[end..].starts_with('-') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let parse = |text: &str| Version::parse(text).unwrap();
        assert_eq!(parse("v0.16.1"), Version::new(0, 16, 1));
        assert_eq!(parse("0.16"), Version::new(0, 16, 0));
        assert_eq!(parse("0.20.0~5a22d73"), Version::new(0, 20, 0));
        assert_eq!(parse("1.2.3.4"), Version::new(1, 2, 3));
        assert!(parse("0.16.1-rc1") < parse("0.16.1"));
        assert!(parse("0.16.1-rc1") > parse("0.16.0"));
        assert!(parse("0.9.9") < parse("0.16.0"));
        for text in ["", "v", "latest", ".1", "0..1", "99999999999"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
