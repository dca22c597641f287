//! The part of QMP that a runtime speaks to at start: greeting, and an empty answer to every command.

use std::io::{BufRead, BufReader, Write};

/// Serves the listening socket named by `-chardev socket,…,fd=N` until a client says `quit`.
pub(crate) fn serve(argv: &[String]) {
    crate::system::exit_on_signals();
    let chardev = argv.iter().filter(|a| a.starts_with("socket,"));
    let number =
        chardev.flat_map(|a| a.split(',')).find_map(|option| option.strip_prefix("fd=")?.parse().ok());
    let Some(listener) = number.and_then(crate::system::listener) else {
        eprintln!("probe: no -chardev socket,…,fd=N that is open");
        return;
    };
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
