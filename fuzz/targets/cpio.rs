//! Archives of an image that get a member.
#![no_main]

use libfuzzer_sys::fuzz_target;
use urunc_fuzz::refused;
use urunc_plan::cpio::{entries, is_archive, with_member};

fuzz_target!(|bytes: &[u8]| {
    let merged = match with_member(bytes, "urunit.conf", b"ours") {
        Ok(merged) => merged,
        Err(error) => return refused(error),
    };
    if !is_archive(bytes) {
        return assert!(merged.ends_with(bytes));
    }
    let (before, after) = (entries(bytes).unwrap(), entries(&merged).unwrap());
    let kept: Vec<_> = before.iter().filter(|entry| entry.name != b"urunit.conf").collect();
    assert_eq!(after.len(), kept.len() + 1);
    for (kept, merged) in kept.iter().zip(&after) {
        assert_eq!((kept.name, kept.mode, kept.content), (merged.name, merged.mode, merged.content));
    }
    assert_eq!(after[kept.len()].content, b"ours");
});
