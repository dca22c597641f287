//! Groups of this host, whatever its hierarchies.
#![allow(unsafe_code)]

mod v2;

use super::*;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use urunc_plan::input::{CgroupMount, HostFacts, Request};
use urunc_plan::launch::CgroupWrite;

/// Groups of this host at a path of their own; removed, with the parent, at the end of the test.
struct Own {
    plan: Cgroup,
}

impl Own {
    fn new(resources: &str) -> Self {
        Self { plan: planned(resources, &facts().unwrap()) }
    }

    fn file(&self, name: &str) -> String {
        let text = |group: &CgroupGroup| fs::read_to_string(leaf(group).join(name)).ok();
        self.plan.groups.iter().find_map(text).unwrap().trim().to_owned()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = remove_all(&self.plan);
        for group in &self.plan.groups {
            let _ = fs::remove_dir(leaf(group).parent().unwrap());
        }
    }
}

/// How many processes of the container the kernel killed for lack of memory; 0 when nothing counts them.
fn oom_kills(plan: &Cgroup) -> u64 {
    let count = |group: &CgroupGroup| {
        let file = if group.v2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(leaf(group).join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    };
    plan.groups.iter().filter_map(count).max().unwrap_or(0)
}

/// Moves a process into every group of the plan, whatever its version.
fn join(plan: &Cgroup, pid: i32) {
    adopt(plan, pid).unwrap();
    for group in plan.groups.iter().filter(|group| group.v2) {
        directory::write_once(&leaf(group).join("cgroup.procs"), &pid.to_string()).unwrap();
    }
}

fn remove_all(plan: &Cgroup) -> Result<()> {
    plan.groups.iter().try_for_each(remove)
}

fn planned(resources: &str, facts: &CgroupFacts) -> Cgroup {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let req = Request {
        id: "leaf".into(),
        cgroups_path: format!("/urunc-sys-test-{}-{number}/leaf", std::process::id()),
        resources: serde_json::from_str(resources).unwrap(),
        ..Request::default()
    };
    let host = HostFacts { cgroup: facts.clone(), ..HostFacts::default() };
    urunc_plan::cgroup::plan(&req, &host, &[]).unwrap()
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").spawn().unwrap()
}

/// Runs `work` in a forked child that waits until `before` has run in the parent; its wait status.
fn in_child(before: impl FnOnce(i32), work: impl FnOnce() -> i32) -> i32 {
    let mut pipe = [0; 2];
    // SAFETY: an array of two descriptors.
    assert_eq!(unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: the child makes system calls only and leaves by _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let mut byte = 0u8;
        // SAFETY: plain system calls on own descriptors and a live byte.
        unsafe {
            libc::close(pipe[1]);
            libc::read(pipe[0], (&raw mut byte).cast(), 1);
            libc::_exit(work());
        }
    }
    before(pid);
    let mut status = 0;
    // SAFETY: own descriptors, own child, a live status.
    unsafe {
        libc::close(pipe[0]);
        libc::close(pipe[1]);
        libc::waitpid(pid, &raw mut status, 0);
    }
    status
}

fn opens(path: &std::ffi::CStr, flags: i32) -> bool {
    // SAFETY: a C string; the descriptor goes with the process.
    unsafe { libc::open(path.as_ptr(), flags) >= 0 }
}

#[test]
fn facts_name_the_directories_this_process_is_in() {
    let facts = facts().unwrap();
    let pid = std::process::id().to_string();
    let mounts: Vec<&CgroupMount> = facts.v1.values().chain(&facts.v2).collect();
    assert!(!mounts.is_empty());
    for mount in mounts {
        let procs = fs::read_to_string(format!("{}{}/cgroup.procs", mount.mount, mount.own)).unwrap();
        assert!(procs.lines().any(|line| line == pid), "{mount:?}");
    }
}

/// What the limits below read as.
const V1_LIMITS: [(&str, &str); 5] = [
    ("memory.limit_in_bytes", "67108864"),
    ("memory.memsw.limit_in_bytes", "134217728"),
    ("cpu.shares", "512"),
    ("cpu.cfs_quota_us", "20000"),
    ("pids.max", "17"),
];
const V2_LIMITS: [(&str, &str); 5] = [
    ("memory.max", "67108864"),
    ("memory.swap.max", "67108864"),
    ("cpu.weight", "20"),
    ("cpu.max", "20000 50000"),
    ("pids.max", "17"),
];

#[test]
fn limits_are_written_and_everything_goes() {
    let own = Own::new(
        r#"{"memory": {"limit": 67108864, "swap": 134217728}, "cpu": {"shares": 512, "quota": 20000, "period": 50000},
            "pids": {"limit": 17}, "devices": [{"allow": false, "access": "rwm"}]}"#,
    );
    assert_eq!(occupied(&own.plan).unwrap(), None);
    prepare(&own.plan).unwrap();
    let pure = own.plan.groups.iter().all(|group| group.v2);
    for (file, value) in if pure { V2_LIMITS } else { V1_LIMITS } {
        assert_eq!(own.file(file), value, "{file}");
    }
    if !pure {
        assert!(!own.file("cpuset.cpus").is_empty() && !own.file("cpuset.mems").is_empty());
        assert!(own.file("devices.list").lines().any(|line| line == "c 1:3 rwm"));
    }
    assert!(pids(&own.plan).unwrap().is_empty());
    assert_eq!(oom_kills(&own.plan), 0);
    let mut child = sleeper();
    let pid = child.id().cast_signed();
    join(&own.plan, pid);
    assert_eq!(pids(&own.plan).unwrap(), [pid]);
    assert!(occupied(&own.plan).unwrap().is_some());
    for group in &own.plan.groups {
        assert_eq!(directory::processes(group).unwrap(), [pid]);
    }
    remove_all(&own.plan).unwrap();
    assert!(
        own.plan.groups.iter().all(|group| !leaf(group).exists() && leaf(group).parent().unwrap().exists())
    );
    assert!(!child.wait().unwrap().success());
    remove_all(&own.plan).unwrap();
    assert!(pids(&own.plan).unwrap().is_empty());
}

#[test]
fn a_group_with_processes_is_refused_and_left_alone() {
    let own = Own::new("{}");
    prepare(&own.plan).unwrap();
    let mut child = sleeper();
    join(&own.plan, child.id().cast_signed());
    let error = prepare(&own.plan).unwrap_err();
    assert!(error.object.ends_with("/leaf"), "{error:?}");
    assert!(error.source.to_string().contains("already has processes"), "{error:?}");
    assert_eq!(pids(&own.plan).unwrap(), [child.id().cast_signed()]);
    child.kill().unwrap();
    child.wait().unwrap();
    prepare(&own.plan).unwrap();
}

#[test]
fn a_refused_value_is_named_and_nothing_is_left() {
    let mut own = Own::new(r#"{"pids": {"limit": 5}}"#);
    let limited = |group: &&mut CgroupGroup| group.writes.iter().any(|write| write.file == "pids.max");
    own.plan
        .groups
        .iter_mut()
        .find(limited)
        .unwrap()
        .writes
        .push(CgroupWrite { file: "pids.max".into(), value: "many".into() });
    let error = prepare(&own.plan).unwrap_err().to_string();
    assert!(error.starts_with("write \"many\" to /") && error.ends_with("/pids.max"), "{error}");
    assert!(own.plan.groups.iter().all(|group| !leaf(group).parent().unwrap().exists()));
}

#[test]
fn memory_and_process_limits_hold() {
    let own = Own::new(r#"{"memory": {"limit": 16777216, "swap": 16777216}, "pids": {"limit": 1}}"#);
    prepare(&own.plan).unwrap();
    let adopted = |pid| join(&own.plan, pid);
    let status = in_child(adopted, || {
        // SAFETY: fork only; a child of it would leave at once.
        match unsafe { libc::fork() } {
            -1 => io::Error::last_os_error().raw_os_error().unwrap_or(1),
            _ => 0,
        }
    });
    assert_eq!(libc::WEXITSTATUS(status), libc::EAGAIN);
    let status = in_child(adopted, || {
        let length = 64 << 20;
        // SAFETY: a fresh private mapping, written within its length.
        unsafe {
            let (access, kind) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let memory = libc::mmap(std::ptr::null_mut(), length, access, kind, -1, 0);
            libc::memset(memory, 1, length);
        }
        0
    });
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "{status:#x}");
    assert_eq!(oom_kills(&own.plan), 1);
}

#[test]
fn a_child_enters_by_itself() {
    let own = Own::new(r#"{"pids": {"limit": 1}}"#);
    prepare(&own.plan).unwrap();
    let doors = doors(&own.plan).unwrap();
    // A v2 group is cloned into, not entered.
    let v1: Vec<&CgroupGroup> = own.plan.groups.iter().filter(|group| !group.v2).collect();
    assert_eq!(doors.len(), v1.len());
    let status = in_child(drop, || {
        let entered = enter(&doors).is_ok();
        let members = v1.iter().filter(|group| {
            // SAFETY: no arguments.
            directory::processes(group).is_ok_and(|pids| pids == [unsafe { libc::getpid() }])
        });
        if entered { i32::try_from(members.count()).unwrap_or(0) } else { 255 }
    });
    assert_eq!(usize::try_from(libc::WEXITSTATUS(status)).unwrap(), v1.len());
}

#[test]
fn device_rules_hold() {
    let own =
        Own::new(r#"{"devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}]}"#);
    prepare(&own.plan).unwrap();
    let status = in_child(
        |pid| join(&own.plan, pid),
        || i32::from(opens(c"/dev/null", libc::O_RDWR)) | i32::from(opens(c"/dev/kmsg", libc::O_RDONLY)) << 1,
    );
    assert_eq!(libc::WEXITSTATUS(status), 1);
}
