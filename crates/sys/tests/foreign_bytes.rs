//! Text of the kernel that a process has a hand in.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;
use urunc_sys::process;

proptest! {
    #[test]
    fn the_name_of_a_process_does_not_matter(name in "[^\n]{0,20}", parent in any::<i32>(), start in any::<u64>()) {
        let text = format!("7 ({name}) S {parent} {}{start} 0 0", "0 ".repeat(17));
        let stat = process::parse_stat(&text).unwrap();
        prop_assert_eq!((stat.state, stat.parent, stat.start_time), ('S', parent, start));
    }

    #[test]
    fn no_text_panics(text in "[0-9 ()A-Z\u{e9}-]{0,120}") {
        if let Some(stat) = process::parse_stat(&text) {
            prop_assert!(text.contains(&stat.start_time.to_string()));
        }
    }
}

/// A name that is no text would hide the process from us, and a monitor chooses its own.
#[test]
fn a_process_is_found_whatever_bytes_its_name_has() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join(OsStr::from_bytes(b"\xff) Z 1 \xfe"));
    std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
    let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
    let stat = process::stat(child.id().cast_signed());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(stat.unwrap().unwrap().parent, std::process::id().cast_signed());
}
