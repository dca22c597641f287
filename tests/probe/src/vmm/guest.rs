//! What the guest of a stand-in does, by the words `probe=…` of its command line, and how its monitor tells of it.
//!
//! | word | meaning |
//! |---|---|
//! | `probe=api:HOW` | how a request to end is answered: `unheard`, `refuses`, `silent`, `half`, `garbage`, `endless`, `closes`; else the guest ends |
//! | `probe=says:WHAT` | Linux's last words on the console: `panic`, `init:CODE`, `restart`; or 20 000 `lines` |
//! | `probe=events:HOW` | events of no use: `half`, `endless`, `others` |
//! | `probe=ends:WAY` | it ends by itself once its monitor was asked whether it runs: `off`, `reset`, `triple`, `panic`, `broken`, `status:N`, `signal:N` |
//! | `probe=floods` | it writes to the console for ever |
//! | `probe=warns` | its monitor complains on standard error |

use super::Kind;
use std::io::Write;

/// Objects that only look like an event that matters.
const OTHERS: [&str; 6] = [
    "{\"source\": \"vm\", \"event\": [\"rebooting\"]}\n",
    "{\n  \"source\": \"vm\",\n  \"event\": \"booted\",\n  \"properties\": {\"event\": \"rebooting\"}\n}\n",
    "{\n  \"source\": \"vmm\",\n  \"event\": \"rebooting\"\n}\n",
    "{\n  \"event\": \"SHUTDOWN\",\n  \"data\": {\"reason\": \"guest-reset\"}\n}\n",
    "\"source\": \"vm\", \"event\": \"rebooting\"}\n",
    "}}}]]]\n\0\n{\"source\": \"vm\", \"event\": \"rebooting\n",
];

/// How a machine ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// As its guest does when it is asked to.
    Graceful,
    Off,
    Reset,
    TripleFault,
    Panic,
    Broken,
    Status(u8),
    Signal(i32),
}

/// The guest.
pub(super) struct Guest {
    words: Vec<String>,
}

impl Guest {
    pub(super) fn told(line: &str) -> Self {
        let words = line.split_whitespace().filter_map(|word| word.strip_prefix("probe="));
        Self { words: words.map(str::to_owned).collect() }
    }

    /// What follows the name.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix(':'))
    }

    /// How it ends by itself.
    pub(super) fn way(&self) -> Option<Way> {
        let way = self.word("ends")?;
        let (name, number) = way.split_once(':').unwrap_or((way, ""));
        Some(match name {
            "reset" => Way::Reset,
            "triple" => Way::TripleFault,
            "panic" => Way::Panic,
            "broken" => Way::Broken,
            "status" => Way::Status(number.parse().ok()?),
            "signal" => Way::Signal(number.parse().ok()?),
            _ => Way::Off,
        })
    }

    /// What there is to say before the end.
    pub(super) fn speak(&self, kind: &mut Kind) {
        if self.word("says") == Some("lines") {
            (0..20_000).for_each(|number| println!("line {number}"));
        }
        let last = self.word("says").filter(|what| *what != "lines").map(|what| match what.split_once(':') {
            Some((_, code)) => {
                let code = code.parse::<u32>().unwrap_or(0) << 8;
                format!("Kernel panic - not syncing: Attempted to kill init! exitcode=0x{code:08x}")
            }
            None if what == "panic" => "Kernel panic - not syncing: VFS: no root".to_owned(),
            None => "reboot: Restarting system".to_owned(),
        });
        if let Some(last) = last {
            println!("[    1.0] {last}");
        }
        if self.words.iter().any(|word| word == "floods") {
            std::thread::spawn(|| {
                loop {
                    println!("flood");
                }
            });
        }
        if self.words.iter().any(|word| word == "warns") {
            eprintln!("warning: of no use");
        }
        let junk = self.word("events").map(|how| match how {
            "half" => "{\n  \"source\": \"vm\",\n  \"event\": \"reboo".to_owned(),
            "endless" => format!("{{\n{}", "x".repeat(100)).repeat(20_000),
            _ => OTHERS.concat(),
        });
        if let (Kind::CloudHypervisor { events: Some(events) }, Some(junk)) = (kind, junk) {
            let _ = events.write_all(junk.as_bytes());
        }
    }
}
