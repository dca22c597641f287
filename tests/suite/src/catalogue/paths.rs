//! A: paths that the image controls. The canary tree of the host is what they must not reach.

use super::kinds::{KINDS, PROGRAMS};
use super::{Entry, inside, lives_or_is_refused, monitor_for_all, nothing_left};
use crate::bad_input::refused;
use crate::harness::Case;
use crate::image::{KERNEL, LINUX, bzimage, replaced};
use crate::reality;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("a-01-annotation-path-traversal", annotation_path_traversal),
    ("a-02-image-directories-that-are-links", directories_that_are_links),
    ("a-03-generated-file-over-an-image-link", generated_files),
    ("a-05-console-and-device-sources-that-are-links", console_sources),
    ("a-06-procfs-write-redirect", procfs_redirect),
    ("a-11-image-file-opened-as-something-else", something_else),
];

/// Keys whose value is a path in the image.
const FILE_KEYS: [&str; 3] = ["binary", "initrd", "block"];

/// From the root of an image to the canary of its sandbox.
const UP: &str = "../../../canary";

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
    ("/link0", |root| chain(root, 41, KERNEL)),
    ("/link0/below/secret", |root| chain(root, 1, &format!("{UP}/directory"))),
    ("/link0/", |root| chain(root, 1, &format!("{UP}/directory"))),
    ("/link0", |root| chain(root, 1, &format!("{UP}/fifo"))),
    ("/link0", |root| chain(root, 1, &format!("{UP}/zero"))),
];

/// Each leads to `/canary/file` of the image; the host has one at the place that the link seems to name, too.
const INSIDE: &[Attempt] = &[
    ("/link0", |root| chain(root, 1, "/canary/file")),
    ("link0", |root| chain(root, 40, &format!("{UP}/file"))),
    ("/link0/file", |root| chain(root, 1, UP)),
];

/// Refused, or the image's own file.
fn annotation_path_traversal(s: &Sandbox) {
    monitor_for_all(s);
    for key in FILE_KEYS {
        for (number, (value, prepare)) in OUTSIDE.iter().enumerate() {
            let bundle = s.bundle(&format!("{key}-out-{number}")).linux().keys(&replaced(&LINUX, key, value));
            prepare(&bundle.rootfs());
            assert!(!lives_or_is_refused(s, &bundle, key, |_| {}), "{key} = {value}");
        }
        for (number, (value, prepare)) in INSIDE.iter().enumerate() {
            let bundle = s.bundle(&format!("{key}-in-{number}")).linux().keys(&replaced(&LINUX, key, value));
            prepare(&bundle.rootfs());
            fs::create_dir(bundle.rootfs().join("canary")).unwrap();
            fs::write(bundle.rootfs().join("canary/file"), bzimage()).unwrap();
            let place = match key {
                "binary" => "/guest/kernel",
                "initrd" => "/guest/initrd",
                _ => "/guest/disk0",
            };
            let lived = lives_or_is_refused(s, &bundle, key, |pid| {
                assert_eq!(identity(&inside(pid, place)), identity(&bundle.rootfs().join("canary/file")));
            });
            assert!(lived, "{key} = {value}");
        }
    }
}

fn directories_that_are_links(s: &Sandbox) {
    monitor_for_all(s);
    for (kind, make) in KINDS {
        for name in ["dev", "proc", "sys", "etc", "lib", "tmp", "usr", "guest", "run"] {
            for (way, target) in
                [("relative", UP.to_owned()), ("absolute", s.dir.join("canary").display().to_string())]
            {
                let bundle = make(s.bundle(&format!("{kind}-{name}-{way}")));
                let place = bundle.rootfs().join(name);
                let _ = fs::remove_dir(&place);
                symlink(format!("{target}/directory"), place).unwrap();
                // No guest needs one of them; an ordinary container may be told that it does.
                let lived = lives_or_is_refused(s, &bundle, "", |_| {});
                assert!(lived || kind == "process", "{kind}: {name}");
            }
        }
    }
}

/// An image that has a link to the canary at every name that the plan makes.
fn generated_files(s: &Sandbox) {
    monitor_for_all(s);
    for (kind, make) in KINDS {
        let bundle = make(s.bundle(kind)).with("/process/terminal", json!(false));
        let path = bundle.path.display().to_string();
        let plan = reality::parse(&reality::values(s.run(["plan", "--json", "--bundle", &path]).ok().json()));
        let made = reality::generated(&plan);
        let leaf = |path: &&String| !made.iter().any(|other| other.starts_with(&format!("{path}/")));
        for made in made.iter().filter(leaf) {
            let place = bundle.rootfs().join(made.trim_start_matches('/'));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            if !place.exists() {
                symlink(s.dir.join("canary/file"), place).unwrap();
            }
        }
        assert!(lives_or_is_refused(s, &bundle, "", |_| {}), "{kind}");
    }
}

/// Links where a terminal and the device nodes are: nodes have the planned numbers, and the terminal is our own.
fn console_sources(s: &Sandbox) {
    monitor_for_all(s);
    for (kind, make) in KINDS {
        let bundle = make(s.bundle(kind)).with("/process/terminal", json!(true)).with("/mounts", json!([]));
        fs::create_dir_all(bundle.rootfs().join("dev")).unwrap();
        for name in ["null", "zero", "console", "ptmx", "pts", "tty"] {
            symlink(format!("../{UP}/zero"), bundle.rootfs().join("dev").join(name)).unwrap();
        }
        let c = s.container("a", &bundle);
        let master = crate::lifecycle::console::create(&c);
        c.start().ok();
        if PROGRAMS.contains(&kind) {
            same_nodes(&inside(c.pid(), "/dev"), Path::new("/dev"));
        }
        let terminal = fs::metadata(format!("/proc/{}/fd/0", c.monitor())).unwrap();
        assert_eq!(rustix::fs::major(terminal.rdev()), 136, "{kind}: no pseudo terminal");
        c.delete_force().ok();
        drop(master);
        fs::remove_file(s.dir.join("tty")).unwrap();
        nothing_left(s);
    }
}

/// The nodes are the host's of these names; those of terminals are in a file system of the container's own.
fn same_nodes(inside: &Path, host: &Path) {
    let entries = fs::read_dir(inside).unwrap().flatten();
    let entries: Vec<_> = entries.filter(|entry| entry.file_name() != "pts").collect();
    assert!(!entries.is_empty(), "{}", inside.display());
    for entry in entries {
        let place = host.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            same_nodes(&entry.path(), &place);
        } else {
            let number = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.rdev()).ok();
            assert_eq!(number(&entry.path()), number(&place), "{}", place.display());
        }
    }
}

/// What is mounted over /proc of the image changes neither where a value is written nor which process gets it.
fn procfs_redirect(s: &Sandbox) {
    monitor_for_all(s);
    // A process that is none of the case's.
    let decoy = format!("/proc/{}", std::os::unix::process::parent_id());
    let before = fs::read_to_string(format!("{decoy}/oom_score_adj")).unwrap();
    let tmpfs = json!({"destination": "/proc", "type": "tmpfs", "source": "tmpfs"});
    let traps =
        ["self/oom_score_adj", "self/attr/exec", "self/setgroups", "self/uid_map", "sys/kernel/hostname"];
    let bind = |name: &&str| {
        json!({"destination": format!("/proc/{name}"), "type": "bind",
        "source": format!("{decoy}/{}", name.trim_start_matches("self/")), "options": ["bind", "rw"]})
    };
    let mounts = [json!([tmpfs]), std::iter::once(tmpfs.clone()).chain(traps.iter().map(bind)).collect()];
    let mut lives = 0;
    for (kind, make) in KINDS {
        for (number, mounts) in mounts.iter().enumerate() {
            let bundle = make(s.bundle(&format!("{kind}-{number}")));
            let bundle = bundle.with("/mounts", mounts.clone()).with("/process/oomScoreAdj", json!(321));
            lives += usize::from(lives_or_is_refused(s, &bundle, "mounts", |pid| {
                assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap(), "321\n");
            }));
            assert_eq!(fs::read_to_string(format!("{decoy}/oom_score_adj")).unwrap(), before);
        }
    }
    assert!(lives > 0, "nobody came as far as to write");
}

/// Something by name, and how it is made.
type Object = (&'static str, fn(&Path));

/// What may be in an image in place of a file.
const OBJECTS: &[Object] = &[
    ("fifo", |path| {
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap();
    }),
    ("socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("directory", |path| fs::create_dir(path).unwrap()),
    ("character-device", |path| node(path, rustix::fs::FileType::CharacterDevice, (1, 5))),
    ("memory", |path| node(path, rustix::fs::FileType::CharacterDevice, (1, 1))),
    ("block-device", |path| node(path, rustix::fs::FileType::BlockDevice, (7, 0))),
    ("tebibyte", |path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap()),
    ("nothing", |path| fs::write(path, "").unwrap()),
];

fn node(path: &Path, kind: rustix::fs::FileType, (major, minor): (u32, u32)) {
    let number = rustix::fs::makedev(major, minor);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::RWXU, number).unwrap();
}

/// Refused at once, whatever is behind the name, in 16 MiB of memory.
fn something_else(s: &Sandbox) {
    monitor_for_all(s);
    for key in ["binary", "initrd", "block", "urunc.json"] {
        for (object, make) in OBJECTS {
            // An initrd or a disk may be large: it is the guest that reads it.
            if *object == "tebibyte" && ["initrd", "block"].contains(&key) {
                continue;
            }
            let bundle = s.bundle(&format!("{key}-{object}")).linux();
            let (place, bundle) = match key {
                "urunc.json" => ("urunc.json", bundle),
                key => ("object", bundle.keys(&replaced(&LINUX, key, "/object"))),
            };
            let place = bundle.rootfs().join(place);
            let _ = fs::remove_file(&place);
            make(&place);
            let path = bundle.path.display().to_string();
            let (command, output) = s.command(["create", "--bundle", &path, &s.id("a")]);
            let mut limited = Command::new("prlimit");
            limited.arg(format!("--as={}", 16 << 20)).arg(command.get_program()).args(command.get_args());
            limited.env("URUNC_CONFIG_FILE", &s.settings);
            refused(s, &crate::command::run(&mut limited, &output), key);
        }
    }
}
