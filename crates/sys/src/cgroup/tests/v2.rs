//! What the second version alone has: clones into a group, device programs, controllers that are enabled.

use super::*;
use std::os::fd::AsRawFd;
use std::path::Path;
use urunc_plan::launch::DeviceRule;

/// The v2 hierarchy alone, whatever controllers v1 holds.
fn only_v2() -> Own {
    let facts = CgroupFacts { v1: std::collections::BTreeMap::default(), ..facts().unwrap() };
    let own = Own { plan: planned("{}", &facts) };
    assert!(own.plan.groups.len() == 1 && !own.plan.device_rules.is_empty());
    own
}

/// clone3 with the descriptor of `prepare`.
fn clone_into(dir: &OwnedFd, work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: all zero is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = 0x2_0000_0000; // CLONE_INTO_CGROUP, too wide for the type in libc
    args.exit_signal = libc::SIGCHLD as u64;
    args.cgroup = u64::from(dir.as_raw_fd().unsigned_abs());
    // SAFETY: as fork: no stack, no shared memory; the child makes system calls only.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    assert!(pid >= 0, "{}", io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: ends the child.
        unsafe { libc::_exit(work()) }
    }
    i32::try_from(pid).unwrap()
}

fn wait_for(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: own child, live status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

#[test]
fn v2_directory_takes_a_clone_under_the_device_program() {
    let mut own = only_v2();
    let rule = |allow, minor, access: &str| DeviceRule {
        allow,
        kind: 'c',
        major: Some(1),
        minor,
        access: access.into(),
    };
    // zero: read only; full: nothing though the first rule allows all of memory's devices; null as that rule says.
    own.plan.device_rules =
        vec![rule(true, None, "rw"), rule(false, Some(5), "w"), rule(false, Some(7), "rwm")];
    let dir = prepare(&own.plan).unwrap().unwrap();
    let pid = clone_into(&dir, || {
        let tries = [
            (c"/dev/null", libc::O_RDWR),
            (c"/dev/zero", libc::O_RDONLY),
            (c"/dev/zero", libc::O_RDWR),
            (c"/dev/full", libc::O_RDONLY),
            (c"/dev/tty", libc::O_PATH),
            (c"/dev/ptmx", libc::O_RDWR),
        ];
        tries.iter().enumerate().map(|(at, (path, flags))| i32::from(opens(path, *flags)) << at).sum()
    });
    assert_eq!(libc::WEXITSTATUS(wait_for(pid)), 0b01_0011);
}

#[test]
fn v2_removal_kills() {
    let own = only_v2();
    let dir = prepare(&own.plan).unwrap().unwrap();
    // SAFETY: pause only.
    let pid = clone_into(&dir, || unsafe { libc::pause() });
    assert_eq!(pids(&own.plan).unwrap(), [pid]);
    remove_all(&own.plan).unwrap();
    assert!(!leaf(&own.plan.groups[0]).exists());
    assert_eq!(libc::WTERMSIG(wait_for(pid)), libc::SIGKILL);
}

/// Every shape of rule passes the kernel's verifier.
#[test]
fn device_programs_load() {
    let own = only_v2();
    let dir = prepare(&own.plan).unwrap().unwrap();
    let rule = |allow, kind, major, access: &str| DeviceRule {
        allow,
        kind,
        major,
        minor: None,
        access: access.into(),
    };
    devices::attach(&dir, &[rule(true, 'a', None, "rwm")]).unwrap();
    devices::attach(
        &dir,
        &[rule(false, 'b', None, "m"), rule(true, 'a', None, "rwm"), rule(false, 'c', Some(9), "rm")],
    )
    .unwrap();
    let many: Vec<DeviceRule> = (0..300).map(|major| rule(major % 2 == 0, 'c', Some(major), "rw")).collect();
    devices::attach(&dir, &many).unwrap();
}

/// A directory in place of a v2 hierarchy whose files are plain: what is enabled where, and in which order.
#[test]
fn v2_controllers_are_enabled_down_to_the_parent() {
    let mount = tempfile::tempdir().unwrap();
    let control = |dir: &str| mount.path().join(dir).join("cgroup.subtree_control");
    for (dir, on) in [("", "cpu"), ("a", "cpu memory pids"), ("a/b", "")] {
        fs::create_dir_all(mount.path().join(dir)).unwrap();
        fs::write(control(dir), on).unwrap();
    }
    let group = CgroupGroup {
        mount: mount.path().to_str().unwrap().into(),
        path: "/a/b/c".into(),
        v2: true,
        enable: vec!["memory".into(), "cpu".into()],
        writes: vec![],
    };
    directory::make(&group, None, &mut Made::default()).unwrap();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(read(&control("")), "+memory", "written over the start of the plain file's text");
    assert_eq!(read(&control("a")), "cpu memory pids");
    assert_eq!(read(&control("a/b")), "+memory +cpu");
}
