//! What Cloud Hypervisor says over its event monitor (`event_monitor/src/lib.rs`): one object of JSON after the other, each
//! over several lines.

use super::lines::Text;
use super::qmp::{Members, Said};

/// Longest object that is looked at: those that matter are far shorter.
const LONGEST: usize = 1024;

/// Puts objects together from lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct Events {
    object: Text<LONGEST>,
    overlong: bool,
}

impl Events {
    /// Takes a line, and whether it is all of one. The object that ends with it, at the left margin, is what was said; one
    /// that is too long says nothing.
    pub fn hear(&mut self, line: &[u8], whole: bool) -> Said<'static> {
        self.overlong |= !(whole && self.object.push(line));
        if line.last() != Some(&b'}') || line.first().is_none_or(u8::is_ascii_whitespace) {
            return Said::Other;
        }
        let said = if self.overlong { Said::Other } else { meaning(self.object.bytes()) };
        *self = Self::default();
        said
    }
}

fn meaning(object: &[u8]) -> Said<'static> {
    let (mut source, mut event, mut what) = (&b""[..], &b""[..], &b""[..]);
    for member in Members::of(object) {
        match (member.depth, member.name) {
            (1, b"source") => source = member.value,
            (1, b"event") => event = member.value,
            (2, b"event") => what = member.value,
            _ => {}
        }
    }
    match (source, event, what) {
        (b"vm", b"rebooting", _) => Said::Rebooting,
        (b"guest", b"panic", b"panic") => Said::Panicked,
        _ => Said::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Vec<Said<'static>> {
        let mut events = Events::default();
        let said = text.lines().map(|line| events.hear(line.as_bytes(), line.len() < 200));
        said.filter(|said| *said != Said::Other).collect()
    }

    fn event(source: &str, event: &str, properties: &str) -> String {
        format!(
            "{{\n  \"timestamp\": {{\n    \"secs\": 1,\n    \"nanos\": 2\n  }},\n  \"source\": \"{source}\",\n  \
             \"event\": \"{event}\",\n  \"properties\": {properties}\n}}\n\n"
        )
    }

    /// As version 53 says it.
    #[test]
    fn real_events() {
        let panic = event("guest", "panic", "{\n    \"event\": \"panic\"\n  }");
        assert_eq!(heard(&event("vm", "rebooting", "null")), [Said::Rebooting]);
        assert_eq!(heard(&panic), [Said::Panicked]);
        let all = [event("vmm", "starting", "null"), event("vm", "booted", "null"), panic.clone(), panic];
        assert_eq!(heard(&all.concat()), [Said::Panicked; 2]);
        // On one line, as older ones.
        assert_eq!(heard("{\"source\":\"vm\",\"event\":\"rebooting\"}\n"), [Said::Rebooting]);
    }

    #[test]
    fn other_words_say_nothing() {
        let crash = event("guest", "panic", "{\n    \"event\": \"crash_loaded\"\n  }");
        let device = event("virtio-device", "reset", "{\n    \"id\": \"_net0\"\n  }");
        let hidden = event("vm", "booted", "{\n    \"event\": \"rebooting\"\n  }");
        let half = event("vm", "rebooting", "null").replace("\n}\n", "\n");
        for text in [&crash, &device, &hidden, &half, "", "}", "}}}\n{", "\"source\": \"vm\"}", "{\"}"] {
            assert_eq!(heard(text), [], "{text}");
        }
    }

    #[test]
    fn what_is_too_long_does_not_hide_the_next() {
        let next = event("vm", "rebooting", "null");
        let lines = "  x\n".repeat(2000);
        let line = "y".repeat(300);
        for long in [format!("{{\n{lines}}}\n"), format!("{{\n  {line}\n}}\n"), format!("{{{line}}}\n")] {
            assert_eq!(heard(&format!("{long}{next}")), [Said::Rebooting]);
        }
    }
}
