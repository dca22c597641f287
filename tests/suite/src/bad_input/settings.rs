//! The operator's file: broken, or somebody else's.

use super::{Entry, create_is_refused};
use std::fs;
use std::os::unix::fs::PermissionsExt;

pub(super) const CASES: &[Entry] = &[
    ("i-48-a-configuration-file-with-a-syntax-error", |s| {
        fs::write(&s.settings, "[monitors\n").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-syntax-error-has-line-and-column", |s| {
        fs::write(&s.settings, "[runtime]\ndelegate = \n").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "line 2, column");
    }),
    ("i-48-an-unknown-key-of-the-configuration-is-told", |s| {
        fs::write(&s.settings, "[runtime]\nfuture = 1\n").unwrap();
        let c = s.container("a", &s.bundle("b").spt("hello"));
        c.create().ok();
        assert_eq!(s.log().iter().filter(|line| line.contains("runtime.future")).count(), 1, "{:?}", s.log());
    }),
    ("i-48-a-configuration-value-of-another-type", |s| {
        fs::write(&s.settings, "[runtime]\nstart_timeout = \"x\"\n").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "start_timeout");
    }),
    ("i-48-a-configuration-file-that-is-a-directory", |s| {
        fs::remove_file(&s.settings).unwrap();
        fs::create_dir(&s.settings).unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-configuration-file-that-is-no-text", |s| {
        fs::write(&s.settings, b"\xff\xfe").unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-configuration-file-of-somebody-else", |s| {
        std::os::unix::fs::chown(&s.settings, Some(65_534), None).unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
    ("i-48-a-configuration-file-that-others-may-write", |s| {
        fs::set_permissions(&s.settings, fs::Permissions::from_mode(0o666)).unwrap();
        create_is_refused(s, &s.bundle("b").spt("hello"), "config.toml");
    }),
];
