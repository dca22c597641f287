//! The first line of a monitor's control socket.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc::qmp::greets;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    let line = &bytes[..end.min(65_536)];
    assert_eq!(greets(bytes), line.starts_with(b"{\"QMP\"") && std::str::from_utf8(line).is_ok());
});
