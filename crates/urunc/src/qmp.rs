//! QEMU Machine Protocol: the greeting, which says that a configuration was accepted (QEMU, `docs/interop/qmp-spec`).

use std::io::{BufRead, BufReader, Read};

/// Longest greeting, bytes.
const LONGEST: u64 = 65_536;

/// Does the stream begin with a greeting?
pub fn greets(stream: impl Read) -> bool {
    let mut greeting = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut greeting).unwrap_or_default();
    greeting.starts_with("{\"QMP\"")
}
