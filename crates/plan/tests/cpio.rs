//! cpio archives: ours are read by the program cpio's rules, and what is merged keeps the rest as it was.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use urunc_plan::cpio::{entries, is_archive, with_member};

const NAME: &str = "urunit.conf";

/// Made by the program of that name, from files in a directory.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut names = String::from(".\n");
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
        names.extend(["./", name, "\n"]);
    }
    let mut cpio = Command::new("cpio");
    cpio.args(["--create", "--format=newc", "--quiet"]).current_dir(&dir);
    let mut child = cpio.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(names.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// Extracted by that program: names and contents, sorted.
fn extracted(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let mut cpio = Command::new("cpio");
    cpio.args(["--extract", "--quiet"]).current_dir(&dir).stdin(Stdio::piped());
    let mut child = cpio.spawn().unwrap();
    child.stdin.take().unwrap().write_all(archive).unwrap();
    assert!(child.wait().unwrap().success());
    let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_program_reads_what_is_merged() {
    let before = archive(&[("a", b"first"), ("bcd", b""), ("e", &[7; 1001])]);
    assert!(is_archive(&before));
    let after = with_member(&before, NAME, b"UES\nUEE\n").unwrap();
    let expected =
        [("a", b"first".to_vec()), ("bcd", vec![]), ("e", vec![7; 1001]), (NAME, b"UES\nUEE\n".to_vec())];
    assert_eq!(extracted(&after), expected.map(|(name, content)| (name.to_owned(), content)));
    assert_eq!(after.windows(10).filter(|found| found == b"TRAILER!!!").count(), 1);
}

#[test]
fn a_member_of_the_same_name_is_replaced() {
    let before = archive(&[(NAME, b"the image's"), ("z", b"z")]);
    let after = with_member(&before, NAME, b"ours").unwrap();
    let found: Vec<_> =
        entries(&after).unwrap().iter().map(|entry| (entry.name.to_vec(), entry.content.to_vec())).collect();
    assert_eq!(found.iter().filter(|(name, _)| name == NAME.as_bytes()).count(), 1);
    assert!(
        found.contains(&(NAME.into(), b"ours".to_vec())) && found.contains(&(b"z".to_vec(), b"z".to_vec()))
    );
}

#[test]
fn several_archives_become_one() {
    let both = [archive(&[("a", b"1")]), vec![0; 512], archive(&[("b", b"2")]), vec![0; 3]].concat();
    let after = with_member(&both, NAME, b"x").unwrap();
    let names: Vec<_> = entries(&after)
        .unwrap()
        .iter()
        .map(|entry| String::from_utf8_lossy(entry.name).into_owned())
        .collect();
    assert_eq!(names, [".", "a", ".", "b", NAME]);
    let found = entries(&after).unwrap();
    assert!(found.iter().all(|entry| entry.archive == 0));
}

#[test]
fn a_compressed_archive_gets_one_in_front() {
    let packed = b"\x1f\x8b\x08 and so on";
    let after = with_member(packed, NAME, b"x").unwrap();
    assert!(after.ends_with(packed));
    assert_eq!(entries(&after[..after.len() - packed.len()]).unwrap().len(), 1);
    let behind = [archive(&[("a", b"1")]), packed.to_vec()].concat();
    assert!(with_member(&behind, NAME, b"x").unwrap_err().contains("another kind of archive"));
}

#[test]
fn every_truncation_is_refused() {
    let whole = archive(&[("a", b"first"), ("b", b"second")]);
    let content = entries(&whole).unwrap();
    let end = whole.len() - whole.iter().rev().take_while(|byte| **byte == 0).count();
    for length in 6..end {
        let refused = with_member(&whole[..length], NAME, b"x");
        assert!(refused.is_err(), "{length} of {}", content.len());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..400),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for mut file in [noise, with_member(b"x", NAME, b"content").unwrap()] {
            if !file.is_empty() {
                let at = at.index(file.len());
                file[at] = byte;
            }
            if let Ok(after) = with_member(&file, "n", b"c") {
                prop_assert!(after.len() >= file.len().min(220));
            }
        }
    }
}
