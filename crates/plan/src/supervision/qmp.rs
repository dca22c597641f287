//! What QEMU says over QMP (docs/interop/qmp-spec.rst), as far as it matters for a start, a stop and an end.
//!
//! A monitor may be taken over by its guest: what it says is looked at, not trusted. What is no JSON says nothing.

/// PWRBTN_EN of PM1_EN (ACPI 6.5, 4.8.4.1.2): somebody in the guest listens to the power button.
pub const BUTTON_ENABLED: u16 = 1 << 8;

/// One line, or one event of another monitor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// It listens; the first line.
    Greeting,
    /// A command was done; a returned text as it stands there, with escapes.
    Done(&'a [u8]),
    /// A command was refused.
    Refused,
    /// SHUTDOWN: the reason, `ShutdownCause` of qapi/run-state.json.
    Shutdown(&'a [u8]),
    /// GUEST_PANICKED: the guest says so itself, by a pvpanic device.
    Panicked,
    /// The guest was reset, and is started anew.
    Rebooting,
    /// STOP: the processors of the guest stand still.
    Stopped,
    /// The answer to query-status.
    Status(&'a [u8]),
    /// Something else, or nothing that can be read.
    Other,
}

impl Said<'_> {
    /// The value of a port in the answer to the command `i/h PORT`: `portw[0x0602] = 0x0020`.
    pub fn port(&self) -> Option<u16> {
        let Self::Done(text) = self else { return None };
        let digits = text.rsplit(|byte| *byte == b'x').next()?;
        let end = digits.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(digits.len());
        u16::from_str_radix(std::str::from_utf8(digits.get(..end)?).ok()?, 16).ok()
    }
}

/// What a line says.
pub fn hear(line: &[u8]) -> Said<'_> {
    let (mut event, mut reason, mut said) = (None, &b""[..], Said::Other);
    for member in Members::of(line) {
        match (member.depth, member.name, member.value) {
            (1, b"QMP", _) => said = Said::Greeting,
            (1, b"error", _) => said = Said::Refused,
            (1, b"return", value) => said = Said::Done(value),
            (2, b"status", value) if matches!(said, Said::Done(_)) => said = Said::Status(value),
            (1, b"event", value) => event = Some(value),
            (2, b"reason", value) => reason = value,
            _ => {}
        }
    }
    match event {
        None => said,
        Some(b"SHUTDOWN") => Said::Shutdown(reason),
        Some(b"GUEST_PANICKED") => Said::Panicked,
        Some(b"STOP") => Said::Stopped,
        Some(_) => Said::Other,
    }
}

/// A member of an object: its value if that is a string, else nothing.
pub(super) struct Member<'a> {
    pub(super) depth: u32,
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Members of an object and of everything in it, in order. It reads no further than it understands.
pub(super) struct Members<'a> {
    rest: &'a [u8],
    depth: u32,
}

impl<'a> Members<'a> {
    /// Those of this text.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { rest: text, depth: 0 }
    }

    /// The string that begins here, without its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.strip_prefix(b"\"")?;
        let mut escaped = false;
        let end = text.iter().position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })?;
        self.rest = text.get(end + 1..)?;
        text.get(..end)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        loop {
            match self.rest.first()? {
                b'"' => {
                    let name = self.string()?;
                    self.skip_blanks();
                    // An element of a list has no value.
                    let Some(rest) = self.rest.strip_prefix(b":") else { continue };
                    self.rest = rest;
                    self.skip_blanks();
                    let value =
                        if self.rest.first() == Some(&b'"') { self.string()? } else { Default::default() };
                    return Some(Member { depth: self.depth, name, value });
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.checked_sub(1)?,
                _ => {}
            }
            self.rest = self.rest.get(1..)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As QEMU 7.2 says it.
    #[test]
    fn real_lines() {
        let cases: [(&str, Said<'_>); 10] = [
            (
                r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": ["oob"]}}"#,
                Said::Greeting,
            ),
            (r#"{"return": {}}"#, Said::Done(b"")),
            (r#"{"return": "portw[0x0602] = 0x0120\r\n"}"#, Said::Done(br"portw[0x0602] = 0x0120\r\n")),
            (
                r#"{"return": {"status": "internal-error", "singlestep": false, "running": false}}"#,
                Said::Status(b"internal-error"),
            ),
            (r#"{"error": {"class": "CommandNotFound", "desc": "no"}}"#, Said::Refused),
            (
                r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#,
                Said::Shutdown(b"guest-reset"),
            ),
            (
                r#"{"event": "GUEST_PANICKED", "data": {"action": "pause", "info": {"reason": "x"}}}"#,
                Said::Panicked,
            ),
            (r#"{"timestamp": {}, "event": "STOP"}"#, Said::Stopped),
            (r#"{"event": "RTC_CHANGE", "data": {"event": "SHUTDOWN", "offset": 0}}"#, Said::Other),
            (r#"{"event": "X\", \"event\": \"SHUTDOWN"}"#, Said::Other),
        ];
        for (line, said) in cases {
            assert_eq!(hear(line.as_bytes()), said, "{line}");
        }
    }

    #[test]
    fn what_is_no_json_says_nothing() {
        for line in [
            "",
            "}",
            "]]]{\"event\": \"SHUTDOWN\"",
            "\"",
            "{\"event\": \"SHUTDOWN",
            "\"QMP\": 1",
            "{{\"QMP\": 1",
        ] {
            assert_eq!(hear(line.as_bytes()), Said::Other, "{line}");
        }
    }

    #[test]
    fn a_port_has_the_last_number() {
        assert_eq!(Said::Done(br"portw[0x0602] = 0x0120\r\n").port(), Some(0x120));
        assert_eq!(Said::Done(b"unknown command: 'i'").port(), None);
        assert_eq!(Said::Done(b"").port(), None);
        assert_eq!(Said::Done(b"= 0x12345").port(), None);
        assert_eq!(Said::Refused.port(), None);
    }
}
