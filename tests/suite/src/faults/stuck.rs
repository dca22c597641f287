//! Processes that cannot end at once, and groups that are too small for what is asked.

use super::{Entry, ended, idle};
use crate::chaos::kills::one_line;
use crate::command::until;
use crate::container::Container;
use crate::image::{SPT, guest};
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub(super) const CASES: &[Entry] = &[
    ("f-12-the-guest-waits-for-a-file-system-without-answer", |s| {
        let script = "while ! test -e /tmp/go; do busybox sleep 0.01; done; exec busybox ls /slow";
        let bundle = s.bundle("b").script(script);
        fs::create_dir(bundle.rootfs().join("slow")).unwrap();
        let c = s.container("a", &bundle);
        c.launch();
        let server = Slow::mount_in(&c, "/slow");
        fs::write(bundle.rootfs().join("tmp/go"), "").unwrap();
        until("the guest waits", || server.asked.load(Ordering::Relaxed));
        c.kill("KILL").ok();
        // Up to here it could be interrupted.
        until("it cannot be killed", || c.status_field("State").starts_with('D'));
        // It is killed, or cannot be: in words, and the next one ends it.
        one_line(&c.delete_force());
        server.stop();
        ended(&c);
    }),
    ("f-43-no-process-may-be-made", |s| {
        let limit = json!([{"type": "RLIMIT_NPROC", "soft": 1, "hard": 1}]);
        let user = json!({"uid": 4242, "gid": 4242});
        let spt = s.bundle("spt").spt("idle").with("/process/rlimits", limit).with("/process/user", user);
        let c = s.container("a", &spt);
        c.launch();
        assert_eq!(c.status(), "running");
        ended(&c);
    }),
    ("f-44-few-processes-in-the-own-group", |s| {
        for most in 1..=3 {
            let name = format!("b{most}");
            let bundle = s.bundle(&name).with("/linux/resources/pids", json!({"limit": most}));
            let c = s.container(&name, &bundle.script("sleep 1000 & wait"));
            one_line(&c.create());
            one_line(&c.start());
            ended(&c);
        }
    }),
    ("f-45-a-guest-of-100-mebibytes-in-a-parent-of-16", |s| {
        let group = memory_group(s);
        let path = format!("/{}/a", s.id("parent"));
        let bundle = s.bundle("b").unikernel(&large_guest(), &SPT).with("/linux/cgroupsPath", json!(path));
        let c = s.container("a", &bundle);
        let created = c.create();
        one_line(&created);
        if created.code == 0 {
            let error = c.start().fails();
            assert!(error.lines().count() == 1, "{error}");
            c.until_stopped();
        }
        c.delete_force().ok();
        s.reap();
        remove_parents(s, &group);
        ended(&c);
    }),
    ("f-45-the-same-guest-without-the-limit", |s| {
        let c = s.container("a", &s.bundle("b").unikernel(&large_guest(), &SPT));
        c.launch();
        ended(&c);
    }),
    ("f-46-the-group-is-frozen-while-running", |s| frozen(s, true)),
    ("f-46-the-group-is-frozen-before-start", |s| frozen(s, false)),
];

/// `delete --force` of a frozen container; the other commands have words for it, or do.
fn frozen(s: &Sandbox, started: bool) {
    fs::write(&s.settings, "[runtime]\nstart_timeout = 1\n").unwrap();
    let c = idle(s, "a");
    c.create().ok();
    if started {
        c.start().ok();
    }
    freeze(&c);
    let status = c.status();
    assert!(["created", "running", "paused"].contains(&status.as_str()), "{status}");
    if !started {
        let error = c.start().fails();
        assert!(error.contains("within 1 s"), "{error}");
    }
    one_line(&c.kill("TERM"));
    ended(&c);
}

/// By the freezer of v1, or by `cgroup.freeze`.
fn freeze(c: &Container<'_>) {
    let v1 = Path::new("/sys/fs/cgroup/freezer").join(&c.id);
    let (file, word) = if v1.exists() {
        (v1.join("freezer.state"), "FROZEN")
    } else {
        (Path::new("/sys/fs/cgroup").join(&c.id).join("cgroup.freeze"), "1")
    };
    fs::write(&file, word).unwrap();
    until("the group is frozen", || {
        let state = text(&file);
        state.starts_with(word)
    });
}

/// A group of the memory controller with 16 MiB, above those of the container.
fn memory_group(s: &Sandbox) -> PathBuf {
    s.run(["list", "-q"]).ok();
    let v1 = Path::new("/sys/fs/cgroup/memory");
    let (top, file) =
        if v1.exists() { (v1, "memory.limit_in_bytes") } else { (Path::new("/sys/fs/cgroup"), "memory.max") };
    let group = top.join(s.id("parent"));
    fs::create_dir(&group).unwrap();
    fs::write(group.join(file), (16 << 20).to_string()).unwrap();
    group
}

/// The parent of the container's groups is nobody's but the case's.
fn remove_parents(s: &Sandbox, group: &Path) {
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let _ = fs::remove_dir(hierarchy.path().join(s.id("parent")));
    }
    let _ = fs::remove_dir(group);
}

/// The own guest that idles, with 100 MiB in its last segment, none of them nought.
fn large_guest() -> Vec<u8> {
    const SIZE: u64 = 100 << 20;
    let mut image = fs::read(guest("idle")).unwrap();
    let headers = (0..usize::from(image[56])).map(|index| 64 + 56 * index);
    let at = headers.rev().find(|at| image[*at..at + 4] == 1u32.to_le_bytes()).unwrap();
    let word = |image: &[u8], at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
    let (offset, length) = (word(&image, at + 8), word(&image, at + 32));
    let content = image[usize::try_from(offset).unwrap()..][..usize::try_from(length).unwrap()].to_vec();
    // To the end of the file, at the same place within a page.
    let moved = image.len().next_multiple_of(4096) as u64 + offset % 4096;
    image.resize(usize::try_from(moved).unwrap(), 0);
    image.extend(content);
    image.resize(usize::try_from(moved + SIZE).unwrap(), 1);
    for (field, value) in [(8, moved), (32, SIZE), (40, SIZE.max(word(&image, at + 40)))] {
        image[at + field..at + field + 8].copy_from_slice(&value.to_le_bytes());
    }
    image
}

/// A FUSE file system whose server says what its root is, and answers nothing else (include/uapi/linux/fuse.h).
struct Slow {
    asked: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

const GETATTR: u32 = 3;
const INIT: u32 = 26;

impl Slow {
    /// Mounted in the container's mount namespace, with which it goes.
    fn mount_in(c: &Container<'_>, point: &str) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let inherited: OwnedFd = rustix::io::dup(&device).unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", inherited.as_raw_fd());
        let mut mount = Command::new("nsenter");
        mount.args(["-t", &c.pid().to_string(), "-m", "/bin/busybox", "mount", "-t", "fuse", "-o", &options]);
        assert!(mount.args(["slow", point]).status().unwrap().success());
        rustix::io::ioctl_fionbio(&device, true).unwrap();
        let (asked, over) = (Arc::default(), Arc::default());
        let server = std::thread::spawn({
            let (asked, over) = (Arc::clone(&asked), Arc::clone(&over));
            move || serve(&device, &asked, &over)
        });
        Self { asked, over, server }
    }

    /// The requests that wait end with the server's descriptor.
    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        self.server.join().unwrap();
    }
}

fn serve(mut device: &File, asked: &AtomicBool, over: &AtomicBool) {
    let mut request = vec![0; 1 << 17];
    while !over.load(Ordering::Relaxed) {
        let Ok(40..) = device.read(&mut request) else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let opcode = u32::from_le_bytes(request[4..8].try_into().unwrap());
        // fuse_init_out: version 7.31, read-ahead, …, largest write; fuse_attr_out: valid for an hour, inode 1, a directory.
        let (size, words): (usize, &[(usize, u32)]) = match opcode {
            INIT => (80, &[(16, 7), (20, 31), (24, 65_536), (36, 65_536)]),
            GETATTR => (120, &[(16, 3600), (32, 1), (92, 0o40_755), (96, 2)]),
            _ => {
                asked.store(true, Ordering::Relaxed);
                continue;
            }
        };
        let mut answer = vec![0; size];
        answer[..4].copy_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
        answer[8..16].copy_from_slice(&request[8..16]);
        for (at, value) in words {
            answer[*at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        device.write_all(&answer).unwrap();
    }
}
