//! A file that is broken, cut, or no file.

use super::{config, load, loaded};
use crate::bundle::document;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

#[test]
fn broken_files_are_refused_in_one_line() {
    let good = String::from_utf8(serde_json::to_vec(&config()).unwrap()).unwrap();
    let cases: [(Vec<u8>, &str); 10] = [
        (vec![], "config.json: EOF while parsing"),
        (good.as_bytes()[..good.len() - 1].to_vec(), "config.json: EOF"),
        (br#"{"hostname":"a"#.iter().chain(&[0xc3]).copied().collect(), "config.json: hostname: "),
        (
            br#"{"ociVersion":"1.0.0","ociVersion":"1.0.1"}"#.to_vec(),
            "config.json: duplicate field `ociVersion`",
        ),
        ([b"{\"x\":".to_vec(), vec![b'['; 1 << 20]].concat(), "config.json: x: EOF"),
        ([br#"{"linux":{"seccomp":"#.to_vec(), vec![b'['; 1 << 20]].concat(), ": recursion limit exceeded"),
        (vec![b'['; (16 << 20) + 1], "larger than 16777216 bytes"),
        (b"[]".to_vec(), "config.json: "),
        (br#"{"linux":{"timeOffsets":{"a\nb":"x"}}}"#.to_vec(), r"linux.timeOffsets.a\nb: "),
        ([good.as_bytes(), b"x"].concat(), "config.json: trailing characters"),
    ];
    for (bytes, wanted) in cases {
        let message = format!("{:#}", loaded(&bytes).unwrap_err());
        assert!(
            message.contains(wanted) && !message.contains('\n') && message.len() < 250,
            "{wanted}: {message}"
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_in_one_line() {
    let good = serde_json::to_vec_pretty(&config()).unwrap();
    for length in 0..good.len() {
        let message = document::parse(&good[..length]).unwrap_err().to_string();
        assert!(message.starts_with("config.json: ") && !message.contains('\n'), "{length}: {message}");
    }
}

#[test]
fn other_things_by_that_name() {
    let message = |dir: &Path| format!("{:#}", load(dir).unwrap_err());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    assert!(message(dir.path()).contains("config.json: No such file"));
    assert!(message(&dir.path().join("x")).starts_with("bundle "));
    symlink("config.json", &path).unwrap();
    assert!(message(dir.path()).contains("symbolic link"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(message(dir.path()).contains("not a regular file"));
    fs::remove_dir(&path).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(message(dir.path()).contains("not a regular file"));
}
