//! Whose process a status names, and who may touch the state directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use urunc::state::{Container, Phase, SOCKET, Status, Store};
use urunc_sys::{fdpass, process};

#[test]
fn only_the_very_process_of_the_status_is_the_containers() {
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = child.id().cast_signed();
    let start_time = process::stat(pid).unwrap().unwrap().start_time;
    let status = Status { phase: Phase::Running, pid, start_time, boot_id: process::boot_id().unwrap() };
    let found = |status: Status| Container::process(&status).unwrap().is_some();
    assert!(found(status.clone()));
    // Its number has come again; it is of the time before a reboot; it is nobody's number.
    assert!(!found(Status { start_time: start_time - 1, ..status.clone() }));
    assert!(!found(Status { boot_id: "another".into(), ..status.clone() }));
    for (pid, stat) in [(1, process::stat(1).unwrap()), (0, None), (-1, None)] {
        let start_time = stat.map_or(start_time, |stat| stat.start_time);
        assert!(!found(Status { pid, start_time, ..status.clone() }), "{pid}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!found(status));
}

/// Mode 0700 and 0600 under any umask, and no root that somebody else may write to.
#[test]
fn the_state_is_roots_alone() {
    rustix::process::umask(rustix::fs::Mode::empty());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/root");
    let store = Store::make(&path).unwrap();
    let container = store.reserve("c").unwrap();
    container.save_status(&Status::default()).unwrap();
    let _listener = fdpass::listen(std::os::fd::AsFd::as_fd(&container.dir), SOCKET).unwrap();
    for (name, mode) in [("", 0o700), ("c", 0o700), ("c/status.json", 0o600), ("c/init.sock", 0o600)] {
        assert_eq!(fs::metadata(path.join(name)).unwrap().mode() & 0o7777, mode, "{name:?}");
    }
    for mode in [0o777, 0o720] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(Store::make(&path).is_err(), "{mode:o}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    chown(&path, Some(1000), None).unwrap();
    assert!(Store::open(&path).is_err());
}
