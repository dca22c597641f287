//! D: namespaces, mounts and cgroups that are the host's or another's.

use super::{Entry, nothing_left, rounds};
use crate::bad_input::{one_line, refused};
use crate::bystander::Bystander;
use crate::command::until;
use crate::container::{Container, namespace};
use crate::harness::Case;
use crate::lifecycle::namespaces::Holder;
use crate::probe::linux_on_probe;
use crate::reality::network::Network;
use crate::sandbox::{Sandbox, text};
use crate::storm::Worker;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("d-01-host-namespaces-by-accident", host_namespaces),
    ("d-01-an-ordinary-container-in-the-runtime-s-mounts", |s| {
        let c = s.container("a", &s.bundle("b").without_namespace("mount"));
        in_foreign_mounts(&c, "self");
        nothing_left(s);
    }),
    ("d-01-an-ordinary-container-in-another-s-mounts", |s| {
        s.run(["list", "-q"]).ok();
        let holder = Holder::of(&["--mount", "sh", "-c", "mount --make-rshared / && exec \"$@\"", "sh"]);
        let bundle = s.bundle("b").namespace("mount", Some(&format!("/proc/{}/ns/mnt", holder.pid())));
        in_foreign_mounts(&s.container("a", &bundle), &holder.pid());
        assert_ne!(namespace(&holder.pid(), "mnt"), namespace("self", "mnt"));
        drop(holder);
        nothing_left(s);
    }),
    ("d-02-mount-leak-to-the-host", mount_leak),
    ("d-03-cgroups-of-others", foreign_cgroups),
    ("d-03-devices-and-sysfs", devices),
];

/// Devices, addresses, routes, queues and filters of the caller's network namespace.
fn network() -> Vec<String> {
    let scope =
        ledger::Scope { netns: vec!["self".into()], tags: vec!["-".into()], ..ledger::Scope::default() };
    ledger::Ledger::take(&scope).row("link").map(str::to_owned).collect()
}

/// Moves this thread, and what it starts, to another network.
fn enter(network: &File) {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("a network namespace");
}

fn host_namespaces(s: &Sandbox) {
    // For a while the host is one with an `eth0`, as a machine of a cloud is.
    let home = File::open("/proc/thread-self/ns/net").expect("own network");
    let _network = Network(s);
    let path = Network::make(s, &Network::usual());
    enter(&File::open(&path).expect("the network of the case"));
    let before = network();
    assert!(before.iter().any(|line| line.contains("eth0")), "{before:#?}");
    let by_process = format!("/proc/{}/task/{}/ns/net", std::process::id(), rustix::thread::gettid());
    for network_path in [None, Some(path.as_str()), Some(by_process.as_str())] {
        let bundle = linux_on_probe(s, &["probe=quiet", "probe=qmp"]).without_namespace("mount");
        let bundle = match network_path {
            None => bundle.without_namespace("network"),
            path => bundle.namespace("network", path),
        };
        let c = s.container("a", &bundle);
        c.create().ok();
        assert_ne!(c.namespace("mnt"), namespace("self", "mnt"));
        assert_eq!(c.namespace("net"), namespace("thread-self", "net"));
        one_line(s, &c.start(), "network");
        c.delete().ok();
        assert_eq!(network(), before, "{network_path:?}");
        fs::remove_dir_all(&bundle.path).expect("bundle");
    }
    enter(&home);
    Network::remove(s);
    nothing_left(s);
}

/// What config.json would have mounted is left out with a warning: the mounts of `owner` stay as they are.
fn in_foreign_mounts(c: &Container<'_>, owner: &str) {
    // On the host others come and go.
    let part = if owner == "self" { c.bundle.to_string_lossy().into_owned() } else { String::new() };
    let mounts = || -> Vec<String> {
        let lines = text(&Path::new("/proc").join(owner).join("mountinfo"));
        lines.lines().filter(|line| line.contains(&part)).map(str::to_owned).collect()
    };
    let before = mounts();
    c.launch();
    assert_eq!(c.namespace("mnt"), namespace(owner, "mnt"));
    assert_eq!(fs::read_link(format!("/proc/{}/root", c.pid())).expect("root"), c.bundle.join("rootfs"));
    assert_eq!(mounts(), before);
    c.delete_force().ok();
    assert_eq!(mounts(), before);
}

/// Runs a command of mount(8)'s family.
fn run(program: &str, words: &[&str]) {
    assert!(Command::new(program).args(words).status().expect(program).success(), "{program} {words:?}");
}

/// A shared mount, as `/` is on most machines: what happens below it is seen by every copy that has not left its group.
struct SharedMount(String);

impl SharedMount {
    fn new(path: &Path) -> Self {
        let path = path.display().to_string();
        run("mount", &["--bind", &path, &path]);
        run("mount", &["--make-shared", &path]);
        Self(path)
    }
}

impl Drop for SharedMount {
    fn drop(&mut self) {
        run("umount", &["--recursive", "--lazy", &self.0]);
    }
}

fn mount_leak(s: &Sandbox) {
    const WORKERS: usize = 8;
    s.run(["list", "-q"]).ok();
    let workers: Vec<_> = (0..WORKERS).map(|number| Worker::new(s, number)).collect();
    let bundles = s.dir.join("bundles");
    let noise = bundles.join("noise");
    fs::create_dir(&noise).expect("a directory");
    let noise = noise.display().to_string();
    let shared = SharedMount::new(&bundles);
    let mounts =
        || text(Path::new("/proc/self/mountinfo")).lines().filter(|line| line.contains(&s.tag)).count();
    let before = mounts();
    let (next, at_work) = (AtomicUsize::new(0), AtomicUsize::new(WORKERS));
    std::thread::scope(|scope| {
        for worker in &workers {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < rounds(4000) {
                    worker.life();
                }
                at_work.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while at_work.load(Ordering::Relaxed) > 0 {
            run("mount", &["-t", "tmpfs", "noise", &noise]);
            run("umount", &[&noise]);
        }
    });
    assert_eq!(mounts(), before, "{}", text(Path::new("/proc/self/mountinfo")));
    drop(shared);
    nothing_left(s);
}

/// A group that is not the container's, in every hierarchy; removed when dropped.
struct ForeignGroup(Vec<PathBuf>);

impl ForeignGroup {
    fn new(name: &str) -> Self {
        let tops = fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten().map(|entry| entry.path());
        let tops = tops.filter(|top| !top.is_symlink() && top.join("cgroup.procs").exists());
        let v1 = Path::new("/sys/fs/cgroup/pids").exists();
        let tops: Vec<_> = if v1 { tops.collect() } else { vec!["/sys/fs/cgroup".into()] };
        let groups: Vec<_> = tops.iter().map(|top| top.join(name)).collect();
        for group in &groups {
            fs::create_dir_all(group.join("below")).expect("a group");
        }
        Self(groups)
    }

    /// Puts a process into the group or one below it; a new cpuset takes none.
    fn take(&self, below: &str, process: u32) {
        let entered =
            |group: &&PathBuf| fs::write(group.join(below).join("cgroup.procs"), process.to_string()).is_ok();
        assert!(self.0.iter().filter(entered).count() > 0, "no hierarchy takes a process");
    }
}

impl Drop for ForeignGroup {
    fn drop(&mut self) {
        for dir in self.0.iter().flat_map(|group| [group.join("below"), group.clone()]) {
            // A process leaves its group a moment after its end. What stays is seen by the ledger.
            let _ = (0..100).any(|_| {
                let gone = fs::remove_dir(&dir).is_ok();
                std::thread::sleep(Duration::from_millis(u64::from(!gone)));
                gone
            });
        }
    }
}

fn foreign_cgroups(s: &Sandbox) {
    for path in ["/../escape", "/a/../../b", ".."] {
        let c = s.container("a", &s.bundle("b").spt("idle").with("/linux/cgroupsPath", json!(path)));
        refused(s, &c.create(), "cgroupsPath");
        fs::remove_dir_all(&c.bundle).expect("bundle");
    }
    let name = s.id("foreign");
    let group = ForeignGroup::new(&name);
    let mut bystander = Bystander::new(0);
    // A slice of the host has its processes below.
    for below in ["", "below"] {
        group.take(below, bystander.pid());
        let limits = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 5}});
        let bundle = s.bundle("b").spt("idle").with("/linux/cgroupsPath", json!(format!("/{name}")));
        let c = s.container("a", &bundle.with("/linux/resources", limits));
        one_line(s, &c.create(), "processes of others");
        c.delete_force();
        assert!(bystander.lives(), "the process of a foreign group was killed");
        let limit = group.0.iter().map(|group| text(&group.join("pids.max"))).find(|limit| !limit.is_empty());
        assert_eq!(limit.as_deref(), Some("max\n"), "a foreign group was limited");
        fs::remove_dir_all(&c.bundle).expect("bundle");
    }
    drop(bystander);
    drop(group);
    nothing_left(s);
}

/// Nodes of the kernel's log, of all memory, and of the first disk.
const NODES: [(&str, FileType, u32, u32); 3] = [
    ("kmsg", FileType::CharacterDevice, 1, 11),
    ("mem", FileType::CharacterDevice, 1, 1),
    ("sda", FileType::BlockDevice, 8, 0),
];

fn devices(s: &Sandbox) {
    s.run(["list", "-q"]).ok();
    let jails = [linux_on_probe(s, &["probe=quiet", "probe=qmp"]), s.bundle("spt").spt("idle")];
    for (name, bundle) in ["qemu", "spt"].into_iter().zip(jails) {
        let c = s.container(name, &bundle);
        c.launch();
        for kind in ["proc", "sysfs", "cgroup", "cgroup2", "devtmpfs"] {
            assert!(!c.proc("mountinfo").contains(&format!(" - {kind} ")), "{}", c.proc("mountinfo"));
        }
        only_planned_devices(&c);
        c.delete_force().ok();
    }
    // Nodes that an image brings.
    fs::write(&s.settings, "[runtime]\ndelegate = \"process\"\n").expect("settings");
    let bundle = s.bundle("nodes");
    for (name, kind, major, minor) in NODES {
        let path = bundle.rootfs().join(name);
        mknodat(CWD, &path, kind, Mode::from_raw_mode(0o666), makedev(major, minor)).expect("a node");
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o666)).expect("its mode");
    }
    let names = NODES.map(|(name, ..)| format!("/{name}")).join(" ");
    let script =
        format!("for n in {names}; do (: < $n) && echo opened $n; done 2> /dev/null; echo done; sleep 1000");
    let c = s.container("nodes", &bundle.script(&script));
    c.create().ok();
    let output = s.last_output().with_extension("out");
    c.start().ok();
    until("the script is done", || text(&output).contains("done"));
    assert_eq!(text(&output), "done\n");
    c.delete_force().ok();
    nothing_left(s);
}

/// A process of the host in the container's groups opens none of the nodes either: the rules, not the mount, refuse it.
fn only_planned_devices(c: &Container<'_>) {
    const SCRIPT: &str = r#"for g in /sys/fs/cgroup/devices/$0 /sys/fs/cgroup/$0; do
        if [ -e $g/cgroup.procs ]; then echo $$ > $g/cgroup.procs; fi; done; : < "$1""#;
    for (name, kind, major, minor) in NODES {
        let node = c.sandbox.dir.join(name);
        mknodat(CWD, &node, kind, Mode::from_raw_mode(0o666), makedev(major, minor)).expect("a node");
        let group = PathBuf::from(&c.bundle);
        let group = c.sandbox.id(&group.file_name().expect("a name").to_string_lossy());
        let tried = Command::new("sh").args(["-c", SCRIPT, &group]).arg(&node).output().expect("sh");
        let said = String::from_utf8_lossy(&tried.stderr);
        assert!(said.contains("Operation not permitted"), "{name}: {said}");
        fs::remove_file(node).expect("the node");
    }
}
