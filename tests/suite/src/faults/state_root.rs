//! State roots without room, without the right to write, or with very much in them; and what a reboot leaves.

use super::{Entry, ended, idle};
use crate::chaos::kills::one_line;
use crate::command::{self, HANG, until};
use crate::container::Container;
use crate::sandbox::{Sandbox, text, unsealed};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const STATE: [&str; 3] = ["record.json", "plan.json", "status.json"];

pub(super) const CASES: &[Entry] = &[
    ("f-31-a-state-root-of-few-files", |s| {
        // The root, the container's directory, its files, and the one that replaces another.
        let mut succeeded = 0;
        s.bound_root("nr_inodes=40");
        s.run(["list", "-q"]).ok();
        let c = idle(s, "a");
        for free in 0..10 {
            let fillers: Vec<_> =
                (0..).map(|n| s.dir.join(format!("root/filler{n}"))).collect_until_full(free);
            let created = c.create();
            one_line(&created);
            for outcome in [c.start(), c.kill("KILL")] {
                one_line(&outcome);
            }
            succeeded += usize::from(created.code == 0);
            for filler in fillers {
                fs::remove_file(filler).unwrap();
            }
            c.delete_force().ok();
            s.reap();
        }
        assert!(succeeded > 0 && succeeded < 10, "{succeeded}");
        ended(&c);
    }),
    ("f-33-the-state-root-becomes-read-only", |s| {
        s.bound_root("size=1m");
        let c = idle(s, "a");
        c.launch();
        remount(s, "ro");
        let list = s.run(["list", "-q"]).ok().stdout;
        assert_eq!(list.trim(), c.id);
        assert_eq!(c.status(), "running");
        one_line(&c.start());
        assert_eq!(c.status(), "running");
        // The signal cannot be recorded, and reaches the guest.
        c.kill("KILL").ok();
        c.until_stopped();
        let error = c.delete().fails();
        assert!(error.contains("Read-only"), "{error}");
        remount(s, "rw");
        ended(&c);
    }),
    ("f-33-the-state-root-is-read-only-at-start", |s| {
        s.bound_root("size=1m");
        let c = idle(s, "a");
        c.create().ok();
        remount(s, "ro");
        let error = c.start().fails();
        assert!(error.contains("Read-only"), "{error}");
        remount(s, "rw");
        ended(&c);
    }),
    ("f-39-state-of-another-boot", |s| {
        s.run(["list", "-q"]).ok();
        // A number that is somebody else's by now, even with the same start time.
        let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
        let c = idle(s, "a");
        c.launch();
        c.kill("KILL").ok();
        c.until_stopped();
        edit_status(&c, |status| {
            status["pid"] = bystander.id().into();
            status["start_time"] = start_time(bystander.id()).into();
            status["boot_id"] = "00000000-0000-0000-0000-000000000000".into();
        });
        assert_eq!(c.status(), "stopped");
        assert!(c.kill("KILL").fails().contains("not running"));
        assert!(c.start().fails().contains("stopped"));
        c.delete().ok();
        assert!(bystander.try_wait().unwrap().is_none(), "the bystander was hit");
        bystander.kill().unwrap();
        bystander.wait().unwrap();
        ended(&c);
    }),
    ("f-40-10000-stopped-containers", |s| {
        // As /run is: 40 000 files of a disk take longer than all else.
        s.bound_root("size=1g");
        let c = idle(s, "a");
        c.launch();
        c.kill("KILL").ok();
        c.until_stopped();
        let from = s.root().join(&c.id);
        let copies: Vec<PathBuf> = (0..10_000).map(|n| s.root().join(format!("{}-{n}", c.id))).collect();
        for copy in &copies {
            link_state(&from, copy);
        }
        assert_eq!(s.run(["list", "-q"]).ok().stdout.lines().count(), 10_001);
        let other = idle(s, "other");
        other.launch();
        assert_eq!(other.status(), "running");
        other.delete_force().ok();
        for copy in &copies {
            fs::remove_dir_all(copy).unwrap();
        }
        ended(&c);
    }),
    ("f-66-the-power-is-cut-during-create", |s| {
        let bundle = s.bundle("b").spt("idle");
        let (reached, release) = (bundle.path.join("reached"), bundle.path.join("release"));
        let script =
            format!(": > {}; while ! test -e {}; do sleep 0.01; done", reached.display(), release.display());
        let c = s.container("a", &bundle.hook("prestart", "/bin/sh", &script));
        let (mut create, output) = s.command(["create", "--bundle", &c.bundle.display().to_string(), &c.id]);
        let mut create = command::spawn(&mut create, &output);
        until("the hook runs", || reached.exists());
        let (here, disk) = (s.root().join(&c.id), s.dir.join("disk"));
        copy_state(&here, &disk);
        fs::write(release, "").unwrap();
        assert_eq!(command::wait(&mut create, HANG, "create"), 0);
        c.delete_force().ok();
        // The next boot: neither process nor group, only what had been written.
        copy_state(&disk, &here);
        edit_status(&c, |status| status["boot_id"] = "00000000-0000-0000-0000-000000000000".into());
        assert_eq!(c.status(), "stopped");
        for outcome in [c.start(), c.kill("KILL"), c.create()] {
            outcome.fails();
        }
        c.delete().ok();
        ended(&c);
    }),
];

/// Fills a file system with empty files.
trait Fill {
    /// Makes files until there is no room, then removes `free` of them.
    fn collect_until_full(self, free: usize) -> Vec<PathBuf>;
}

impl<I: Iterator<Item = PathBuf>> Fill for I {
    fn collect_until_full(self, free: usize) -> Vec<PathBuf> {
        let mut made: Vec<_> = self.take_while(|path| fs::File::create(path).is_ok()).collect();
        let spare = made.split_off(made.len() - free);
        for path in spare {
            fs::remove_file(path).unwrap();
        }
        made
    }
}

fn remount(s: &Sandbox, way: &str) {
    let status = Command::new("mount").args(["-o", &format!("remount,{way}")]).arg(s.root()).status();
    assert!(status.unwrap().success());
}

/// Field 22 of proc_pid_stat(5).
fn start_time(pid: u32) -> u64 {
    let stat = text(format!("/proc/{pid}/stat").as_ref());
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_whitespace().nth(19).unwrap().parse().unwrap()
}

/// Changes status.json as somebody with an editor would.
fn edit_status(c: &Container<'_>, edit: impl FnOnce(&mut Value)) {
    let file = c.sandbox.root().join(&c.id).join("status.json");
    let mut status: Value = serde_json::from_str(&unsealed(&text(&file))).unwrap();
    edit(&mut status);
    fs::write(file, status.to_string()).unwrap();
}

/// The same files in a second directory.
fn link_state(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in STATE {
        fs::hard_link(from.join(name), to.join(name)).unwrap();
    }
}

/// The files of a container's directory; a socket is not on a disk.
fn copy_state(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in STATE {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}
