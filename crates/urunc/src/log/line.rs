//! One log line.

use super::MAX_LINE;
use crate::time;
use std::{fmt::Write, time::SystemTime};

/// logrus' text format: `time="2026-11-21T00:50:26Z" level=info msg="two words"`.
pub(super) fn text(time: SystemTime, level: &str, message: &str) -> String {
    let mut line = format!("time=\"{}\" level={level} msg=", time::seconds(time));
    if bare(message) {
        line.push_str(message);
    } else {
        quote(&mut line, message, "\"\n", |line, c| {
            let _ = match c {
                '\n' => line.write_str("\\n"),
                '\t' => line.write_str("\\t"),
                '\r' => line.write_str("\\r"),
                c if c.is_ascii() => write!(line, "\\x{:02x}", u32::from(c)),
                c => write!(line, "\\u{:04x}", u32::from(c)),
            };
        });
        return line;
    }
    line.push('\n');
    line
}

/// logrus' JSON format; the keys are in the alphabet's order, as Go writes them.
pub(super) fn json(time: SystemTime, level: &str, message: &str) -> String {
    let mut line = format!("{{\"level\":\"{level}\",\"msg\":");
    let end = format!("\",\"time\":\"{}\"}}\n", time::seconds(time));
    quote(&mut line, message, &end, |line, c| {
        let _ = write!(line, "\\u{:04x}", u32::from(c));
    });
    line
}

/// The message alone, on one line of a terminal.
pub(super) fn plain(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// logrus leaves short plain words without quotes.
fn bare(message: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/@^+".contains(&b);
    !message.is_empty() && message.len() < 1024 && message.bytes().all(plain)
}

/// Appends the message in quotes and the end of the line; what would not fit [`MAX_LINE`] is cut between two
/// characters, so that a cut line is still well-formed.
fn quote(line: &mut String, message: &str, end: &str, control: impl Fn(&mut String, char)) {
    line.push('"');
    let room = MAX_LINE - end.len();
    for c in message.chars() {
        let before = line.len();
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            // Control characters, and the two separators that some readers take for line ends.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => control(line, c),
            c => line.push(c),
        }
        if line.len() > room {
            line.truncate(before);
            break;
        }
    }
    line.push_str(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_222_226)
    }

    #[test]
    fn as_runc_writes_them() {
        // Both lines are runc 1.1.5's answer to `state nosuch`.
        assert_eq!(
            text(at(), "error", "container does not exist"),
            "time=\"2026-11-21T00:50:26Z\" level=error msg=\"container does not exist\"\n"
        );
        assert_eq!(
            json(at(), "error", "container does not exist"),
            "{\"level\":\"error\",\"msg\":\"container does not exist\",\"time\":\"2026-11-21T00:50:26Z\"}\n"
        );
        assert!(text(at(), "info", "plain/word-1").ends_with(" msg=plain/word-1\n"));
        assert!(text(at(), "info", "").ends_with(" msg=\"\"\n"));
        assert!(
            text(at(), "info", "a\nb\t\"c\" \\ \x1b[0m é")
                .ends_with("msg=\"a\\nb\\t\\\"c\\\" \\\\ \\x1b[0m é\"\n")
        );
    }

    #[test]
    fn plain_is_one_line() {
        assert_eq!(plain("a\nb\x1b 'c' \"d\" \\ é"), "a\\nb\\u{1b} 'c' \"d\" \\ é");
    }

    #[test]
    fn any_message_is_one_well_formed_line() {
        let long = "é\n\"\\\u{1}\u{2028}x".repeat(2000);
        for message in ["", "a\nb", "\u{7f}\u{85}", "\u{0}", long.as_str()] {
            for line in [text(at(), "error", message), json(at(), "error", message)] {
                assert!(
                    line.len() <= MAX_LINE && line.ends_with('\n') && line.lines().count() == 1,
                    "{line}"
                );
            }
            let line = json(at(), "error", message);
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert!(message.starts_with(read["msg"].as_str().unwrap()));
            assert_eq!(read["time"], "2026-11-21T00:50:26Z");
        }
        assert!(json(at(), "error", &long).len() > MAX_LINE - 8, "cut, not dropped");
    }
}
