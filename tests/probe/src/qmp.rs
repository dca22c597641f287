//! The part of QMP that a runtime speaks at start: greeting, and an empty answer to every command.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};

/// The connected socket named by `-chardev socket,…,fd=N`.
pub(crate) fn control(argv: &[String]) -> Option<File> {
    let chardev = argv.iter().filter(|a| a.starts_with("socket,"));
    let number =
        chardev.flat_map(|a| a.split(',')).find_map(|option| option.strip_prefix("fd=")?.parse().ok());
    let control = number.and_then(crate::system::stream);
    if control.is_none() {
        eprintln!("probe: no -chardev socket,…,fd=N that is open");
    }
    control
}

/// Greets and answers. `serve` does so until the other end says `quit`; else the capabilities are all that is waited for.
pub(crate) fn talk(argv: &[String], serve: bool) {
    crate::system::exit_on_signals();
    let Some(stream) = control(argv) else { return };
    let Ok(mut writer) = stream.try_clone() else { return };
    let greeting = r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 0}, "package": "probe"}, "capabilities": []}}"#;
    let _ = writeln!(writer, "{greeting}\r");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let _ = writeln!(writer, "{{\"return\": {{}}}}\r");
        if !serve || line.contains("\"quit\"") {
            return;
        }
    }
}

/// Tells an event, `NAME,REASON`, as QEMU does.
pub(crate) fn tell(argv: &[String], event: &str) {
    let (name, reason) = event.split_once(',').unwrap_or((event, ""));
    let line = serde_json::json!({"event": name, "data": {"guest": true, "reason": reason}});
    if let Some(mut control) = control(argv) {
        let _ = writeln!(control, "{line}\r");
    }
}
