//! The part of QMP that a runtime speaks to at start: greeting, and an empty answer to every command.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

/// The listening socket named by `-chardev socket,…,fd=N`.
pub(crate) fn listener(argv: &[String]) -> Option<UnixListener> {
    let chardev = argv.iter().filter(|a| a.starts_with("socket,"));
    let number =
        chardev.flat_map(|a| a.split(',')).find_map(|option| option.strip_prefix("fd=")?.parse().ok());
    let listener = number.and_then(crate::system::listener);
    if listener.is_none() {
        eprintln!("probe: no -chardev socket,…,fd=N that is open");
    }
    listener
}

/// Serves until a client says `quit`.
pub(crate) fn serve(argv: &[String]) {
    crate::system::exit_on_signals();
    let Some(listener) = listener(argv) else { return };
    while let Ok((stream, _)) = listener.accept() {
        let Ok(mut writer) = stream.try_clone() else { return };
        let greeting = r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 0}, "package": "probe"}, "capabilities": []}}"#;
        // A client that went away is no reason to end.
        let _ = writeln!(writer, "{greeting}\r");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = writeln!(writer, "{{\"return\": {{}}}}\r");
            if line.contains("\"quit\"") {
                return;
            }
        }
    }
}
