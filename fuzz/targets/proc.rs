//! `/proc/PID/stat`, whose second field is the process's to choose.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc_sys::process::parse_stat;

fuzz_target!(|text: &str| {
    let Some(stat) = parse_stat(text) else { return };
    let (name, rest) = text.rsplit_once(')').expect("the end of the name");
    assert_eq!(rest.trim_ascii_start().chars().next(), Some(stat.state));
    // Another name changes nothing.
    for name in ["7 (x", "7 () R 1 (", name] {
        assert_eq!(parse_stat(&format!("{name}){rest}")), Some(stat));
    }
});
