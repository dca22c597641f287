//! Why a launch is refused: each variant names the input to change.

use thiserror::Error;

/// A refusal of the planner. Display is one lower-case line without a trailing period.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// An image key (`com.urunc.unikernel.*`) is missing or has a bad value.
    #[error("{key}: {why}")]
    Key {
        /// Short key name, e.g. `hypervisor`.
        key: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A field of config.json is missing, bad or not supported.
    #[error("config.json: {field}: {why}")]
    Config {
        /// JSON path, e.g. `linux.namespaces[2].path`.
        field: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// The kernel (or initrd, or block image) file is not what the guest and monitor need.
    #[error("{file}: {why}")]
    File {
        /// Key and path, e.g. `binary /.boot/kernel`.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// Guest and monitor do not fit together.
    #[error("unsupported guest monitor pair: {why}")]
    Pair {
        /// What the guest needs that the monitor lacks, and what would work.
        why: String,
    },
    /// The host lacks something.
    #[error("host: {why}")]
    Host {
        /// What is missing and how to get it.
        why: String,
    },
    /// The memory limit does not fit.
    #[error("memory limit: {why}")]
    Memory {
        /// Figures.
        why: String,
    },
    /// The guest's command line cannot be built.
    #[error("command line: {why}")]
    Cmdline {
        /// What cannot be carried.
        why: String,
    },
    /// The container's network cannot be connected.
    #[error("network: {why}")]
    Network {
        /// What was found.
        why: String,
    },
    /// The operator's configuration file has a bad value.
    #[error("configuration: {key}: {why}")]
    Setting {
        /// Dotted key.
        key: String,
        /// What is wrong.
        why: String,
    },
}

impl PlanError {
    /// A bad image key.
    pub fn key(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Key { key: key.into(), why: why.into() }
    }
    /// A bad field of config.json.
    pub fn config(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Config { field: field.into(), why: why.into() }
    }
}

/// [`excerpt`] in quotes.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", excerpt(text))
}

/// Foreign text for an error or a notice: escaped, so that it stays on the line, and cut.
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown = String::new();
    for c in text.chars() {
        let end = shown.len();
        shown.extend(c.escape_debug());
        if shown.len() > LONGEST {
            shown.truncate(end);
            return shown + "...";
        }
    }
    shown
}

/// A message of a library, in which there may be foreign text: on one line, and cut in its middle, for its end says what
/// was expected and where.
pub fn abridged(message: &str) -> String {
    const SIDE: usize = 120;
    let mut line = String::new();
    for c in message.chars() {
        if c.is_control() { line.extend(c.escape_debug()) } else { line.push(c) }
    }
    if line.len() <= 2 * SIDE {
        return line;
    }
    let (start, end) = (line.floor_char_boundary(SIDE), line.ceil_char_boundary(line.len() - SIDE));
    format!("{}...{}", &line[..start], &line[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_one_short_line() {
        let long = "\u{1f600}\n\u{7f}\"".repeat(1000);
        for text in [excerpt(&long), quoted(&long), abridged(&long)] {
            assert!(text.len() <= 250 && !text.contains(char::is_control), "{text}");
        }
        assert_eq!(excerpt(&"x".repeat(60)), "x".repeat(60));
        assert_eq!(excerpt(&"x".repeat(61)), format!("{}...", "x".repeat(60)));
        assert_eq!(excerpt(&"\0".repeat(31)), format!("{}...", "\\0".repeat(30)));
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        let message = format!("want a string, not {} at line 7", "y".repeat(300));
        assert!(
            abridged(&message).starts_with("want a string") && abridged(&message).ends_with(" at line 7")
        );
        assert_eq!(abridged("as \"it\" is"), "as \"it\" is");
    }
}
