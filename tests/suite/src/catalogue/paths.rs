//! A: paths that the image or the bundle controls. The host's canary tree is what they must not reach.

use super::{Entry, monitor_for_all};
use crate::bad_input::refused;
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::image::{LINUX, bzimage, replaced};
use crate::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[("a-01-annotation-path-traversal", annotation_path_traversal)];

/// Keys whose value is a path in the image.
const FILE_KEYS: [&str; 3] = ["binary", "initrd", "block"];

/// From the root of an image to the canary of its sandbox.
const UP: &str = "../../../canary";

/// The file that the monitor of a running container sees for a key.
fn seen(pid: i32, key: &str) -> (u64, u64) {
    let name = match key {
        "binary" => "kernel",
        "block" => urunc_plan::attach::DISK,
        other => other,
    };
    identity(&Path::new("/proc").join(format!("{pid}/root/guest/{name}")))
}

fn identity(path: &Path) -> (u64, u64) {
    let meta = fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (meta.dev(), meta.ino())
}

/// A chain of `count` links in the image, the first of which is `link0` and the last of which leads to `target`.
fn chain(root: &Path, count: usize, target: &str) {
    for number in 0..count {
        let next = if number + 1 == count { target.to_owned() } else { format!("link{}", number + 1) };
        symlink(next, root.join(format!("link{number}"))).unwrap();
    }
}

/// What a key says, and what the image has there.
type Attempt = (&'static str, fn(&Path));

/// Each leads out of the image, or nowhere.
const OUTSIDE: &[Attempt] = &[
    ("../../../canary/file", |_| {}),
    ("/../../../canary/file", |_| {}),
    ("a/b/../../../c", |root| {
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("c"), bzimage()).unwrap();
    }),
    ("/link0", |root| chain(root, 1, &format!("{UP}/file"))),
    ("/link0", |root| chain(root, 1, &root.join(UP).join("file").display().to_string())),
    ("/link0", |root| chain(root, 41, ".boot/kernel")),
    ("/link0/below/secret", |root| chain(root, 1, &format!("{UP}/directory"))),
    ("/link0/", |root| chain(root, 1, &format!("{UP}/directory"))),
    ("/link0", |root| chain(root, 1, &format!("{UP}/fifo"))),
    ("/link0", |root| chain(root, 1, &format!("{UP}/zero"))),
];

/// Each leads to `/canary/file` of the image, which the host has at the place that the link seems to name, too.
const INSIDE: &[Attempt] = &[
    ("/link0", |root| chain(root, 1, "/canary/file")),
    ("link0", |root| chain(root, 40, &format!("{UP}/file"))),
    ("/link0/file", |root| chain(root, 1, UP)),
];

/// A Linux image with `/canary/file`, one of whose keys makes an attempt.
fn attempt(s: &Sandbox, name: &str, key: &'static str, (value, prepare): Attempt) -> Bundle {
    let bundle = s.bundle(name).linux().keys(&replaced(&LINUX, key, value));
    prepare(&bundle.rootfs());
    s.trees.borrow_mut().push(bundle.path.clone());
    bundle
}

/// Refused, or the image's own file.
fn annotation_path_traversal(s: &Sandbox) {
    monitor_for_all(s);
    let all = |attempts: &'static [Attempt]| {
        FILE_KEYS.iter().flat_map(move |key| attempts.iter().enumerate().map(move |(n, a)| (*key, n, *a)))
    };
    let outside: Vec<_> =
        all(OUTSIDE).map(|(key, n, a)| (key, attempt(s, &format!("outside-{key}-{n}"), key, a))).collect();
    let inside: Vec<_> = all(INSIDE)
        .map(|(key, n, a)| {
            let bundle = attempt(s, &format!("inside-{key}-{n}"), key, a);
            fs::create_dir(bundle.rootfs().join("canary")).unwrap();
            fs::write(bundle.rootfs().join("canary/file"), bzimage()).unwrap();
            (key, bundle)
        })
        .collect();
    for (key, bundle) in outside {
        refused(s, &s.container("a", &bundle).create(), key);
    }
    for (key, bundle) in inside {
        let c = s.container("a", &bundle);
        c.launch();
        assert_eq!(seen(c.pid(), key), identity(&bundle.rootfs().join("canary/file")), "{key}");
        c.delete_force().ok();
    }
}
