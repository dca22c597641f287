//! A: trees that change while the runtime works on them.

use super::{Entry, in_words, inside, monitor_for_all, nothing_left, rounds};
use crate::bundle::Bundle;
use crate::harness::Case;
use crate::image::{LINUX, bzimage, replaced};
use crate::sandbox::Sandbox;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("a-04-image-exchanged-during-set-up", image_exchanged),
    ("a-04-mount-points-exchanged-during-set-up", mount_points_exchanged),
    ("a-09-delete-through-an-exchanged-parent", parent_exchanged),
];

/// Exchanges two names as fast as it can, until it is dropped; then the first name is what it was.
struct Racer(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Racer {
    fn start(a: PathBuf, b: PathBuf) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let first = a.symlink_metadata().expect("a name").ino();
            while !over.load(Ordering::Relaxed) || a.symlink_metadata().expect("a name").ino() != first {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).expect("renameat2");
                std::thread::yield_now();
            }
        });
        Self(end, Some(thread))
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            thread.join().expect("the racer");
        }
    }
}

/// A link to the canary's directory `below` beside `dir` of the tree, to be exchanged with it.
fn trap(root: &Path, dir: &str, canary: &Path) -> Racer {
    let link = root.join(format!("{dir}.link"));
    symlink(canary, &link).expect("link");
    Racer::start(root.join(dir), link)
}

/// Two containers of one image, whose kernel's directory is a link to the host's secret half of the time.
fn image_exchanged(s: &Sandbox) {
    monitor_for_all(s);
    let make = |name: &str| s.bundle(name).linux().keys(&replaced(&LINUX, "binary", "/boot/secret"));
    let (first, second) = (make("a"), make("b").with("/root/path", serde_json::json!("../a/rootfs")));
    let root = first.rootfs();
    fs::create_dir(root.join("boot")).expect("directory");
    fs::write(root.join("boot/secret"), bzimage()).expect("kernel");
    let kernel = fs::metadata(root.join("boot/secret")).expect("kernel").ino();
    let canary = s.dir.join("canary/directory/below");
    s.run(["list", "-q"]).ok();
    let racer = trap(&root, "boot", &canary);
    for _ in 0..rounds(10_000).div_ceil(2) {
        for (name, bundle) in [("a", &first), ("b", &second)] {
            let c = s.container(name, bundle);
            let created = c.create();
            if created.code == 0 {
                assert_eq!(fs::metadata(inside(c.pid(), "/guest/kernel")).expect("kernel").ino(), kernel);
                restricted(&c.proc("mountinfo"));
                c.delete_force().ok();
            } else {
                in_words(s, &created);
            }
        }
    }
    drop(racer);
    nothing_left(s);
}

/// Every bind in the jail is read-only, without set-id programs and device nodes; what the guest reads is not executable.
fn restricted(mountinfo: &str) {
    let mut binds = 0;
    for line in mountinfo.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        // proc_pid_mountinfo(5): the fourth field is the root of the mount within its file system. The private root is a
        // directory of its own file system.
        if fields[3] == "/" || fields[4] == "/" {
            continue;
        }
        binds += 1;
        let has = |option: &str| fields[5].split(',').any(|seen| seen == option);
        assert!(["ro", "nosuid", "nodev"].into_iter().all(has), "{line}");
        assert!(has("noexec") || !fields[4].starts_with("/guest/"), "{line}");
    }
    assert!(binds > 0, "{mountinfo}");
}

/// The tree of an ordinary container, whose mount points are links to the canary half of the time.
fn mount_points_exchanged(s: &Sandbox) {
    let bundle: Bundle = s.bundle("b");
    let canary = s.dir.join("canary/directory");
    s.run(["list", "-q"]).ok();
    let racers = ["proc", "dev"].map(|dir| trap(&bundle.rootfs(), dir, &canary));
    for _ in 0..rounds(10_000).div_ceil(2) {
        let c = s.container("a", &bundle);
        let created = c.create();
        in_words(s, &created);
        c.delete_force().ok();
    }
    drop(racers);
    nothing_left(s);
}

/// Links to the canary in the state directory and the image, and a link in place of the state directory itself.
fn parent_exchanged(s: &Sandbox) {
    let bundle = s.bundle("b").spt("idle");
    let canary = s.dir.join("canary/directory");
    symlink(&canary, bundle.rootfs().join("link")).expect("link");
    let link = s.dir.join("link");
    symlink(&canary, &link).expect("link");
    let c = s.container("a", &bundle);
    let dir = s.root().join(&c.id);
    for _ in 0..rounds(1_000) {
        c.create().ok();
        symlink(&canary, dir.join("link")).expect("link");
        fs::create_dir(dir.join("directory")).expect("directory");
        symlink(&canary, dir.join("directory/link")).expect("link");
        let racer = Racer::start(dir.clone(), link.clone());
        in_words(s, &c.delete());
        in_words(s, &c.delete_force());
        drop(racer);
        // What somebody put there is not ours to remove: it is named, until it is gone.
        let planted = ["link", "directory/link", "directory"].map(|name| dir.join(name));
        assert!(planted.iter().all(|path| path.symlink_metadata().is_ok()), "removed what is not ours");
        assert!(c.delete_force().fails().contains("not empty"));
        fs::remove_dir_all(dir.join("directory")).expect("directory");
        fs::remove_file(dir.join("link")).expect("link");
        c.delete_force().ok();
        assert!(!dir.exists(), "the state directory is left");
    }
}
