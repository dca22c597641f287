//! A: paths that the command line controls. The canary tree of the host is what they must not reach.

use super::{Entry, in_words, nothing_left};
use crate::bad_input::refused;
use crate::harness::Case;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] =
    &[("a-10-id-arguments", id_arguments), ("a-10-file-arguments-in-a-shared-directory", file_arguments)];

fn id_arguments(s: &Sandbox) {
    let bundle = s.bundle("b").spt("idle").path.display().to_string();
    let long = "x".repeat(1025);
    let ids: [&[u8]; 9] =
        [b".", b"..", b"a/b", b"../canary", b"", b"a\nb", b"a\xff\xfe", b"/canary", long.as_bytes()];
    s.run(["list", "-q"]).ok();
    for id in ids.map(OsStr::from_bytes) {
        refused(s, &s.run([OsStr::new("create"), OsStr::new("--bundle"), OsStr::new(&bundle), id]), "id");
        for verb in ["start", "state", "kill", "delete"] {
            refused(s, &s.run([OsStr::new(verb), id]), "id");
        }
    }
    // A link in the state root is no container.
    fs::create_dir_all(s.root()).unwrap();
    fs::set_permissions(s.root(), fs::Permissions::from_mode(0o700)).unwrap();
    let link = s.root().join("link");
    symlink("../canary/directory", &link).unwrap();
    for words in [
        vec!["create", "--bundle", &bundle, "link"],
        vec!["start", "link"],
        vec!["state", "link"],
        vec!["kill", "link", "KILL"],
        vec!["delete", "link"],
    ] {
        s.run(words).fails();
    }
    // Forced, it may say that there is nothing.
    in_words(s, &s.run(["delete", "--force", "link"]));
    s.run(["list"]).ok();
    let _ = fs::remove_file(link);
    nothing_left(s);
}

/// `--pid-file`, `--log` and `--console-socket` that are links in a directory like /tmp.
fn file_arguments(s: &Sandbox) {
    let bundle = s.bundle("b").spt("idle");
    s.run(["list", "-q"]).ok();
    let (shared, canary) = (s.dir.join("shared"), s.dir.join("canary"));
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    for name in ["pid", "log", "tty"] {
        symlink(canary.join("file"), shared.join(name)).unwrap();
    }
    symlink(canary.join("new"), shared.join("dangling")).unwrap();
    let path = |name: &str| shared.join(name).display().to_string();
    let c = s.container("a", &bundle);
    let bundle_path = bundle.path.display().to_string();
    // The name is taken over by rename; what the link led to is nobody's business.
    for name in ["pid", "dangling"] {
        s.run(["create", "--bundle", &bundle_path, "--pid-file", &path(name), &c.id]).ok();
        assert!(shared.join(name).symlink_metadata().unwrap().is_file());
        c.delete_force().ok();
    }
    symlink(canary.join("new"), shared.join("dangling2")).unwrap();
    for name in ["log", "dangling2"] {
        let outcome = s.run(["--log", &path(name), "create", "--bundle", &bundle_path, &c.id]);
        assert!(outcome.clone().fails().contains("link"), "{}", outcome.stderr);
    }
    let terminal = bundle.with("/process/terminal", json!(true));
    let c = s.container("t", &terminal);
    refused(s, &c.create_with(&["--console-socket", &path("tty")]), "console-socket");
    assert!(!canary.join("new").exists());
}
