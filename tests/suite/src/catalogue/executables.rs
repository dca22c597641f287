//! C: programs that are overwritten, and programs that are executed.

use super::descriptors::program;
use super::kinds::{KINDS, on, programs_for_all};
use super::{Entry, nothing_left, rounds};
use crate::bad_input::one_line;
use crate::bundle::Bundle;
use crate::command::{self, until};
use crate::harness::Case;
use crate::probe::{played, probe};
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("c-02-overwrite-of-the-runtime-by-its-exe", overwritten_runtime),
    ("c-02-an-hvt-guest-has-no-way-to-the-runtime", hvt_is_alone),
    ("c-03-host-executes-image-content", executed_image),
];

/// Opening a process's program to write and cut it: the file would be cut only if it were not in use.
fn write_to_exe(pid: i32) -> Option<i32> {
    let exe = format!("/proc/{pid}/exe");
    fs::OpenOptions::new().write(true).truncate(true).open(exe).err()?.raw_os_error()
}

fn overwritten_runtime(s: &Sandbox) {
    const READ_ONLY: Option<i32> = Some(rustix::io::Errno::ROFS.raw_os_error());
    let programs = || (fs::read(&s.runtime.program).unwrap(), fs::read(probe()).unwrap());
    let before = programs();
    // A monitor has no /proc; to us it is there. Not even all capabilities help against a read-only mount.
    programs_for_all(s);
    for (kind, make) in KINDS.iter().filter(|(kind, _)| *kind != "process") {
        let c = s.container("monitor", &make(s.bundle(kind)));
        c.launch();
        let mounts = c.proc("mountinfo");
        assert!(!mounts.contains(" - proc "), "{mounts}");
        for _ in 0..rounds(1000) {
            assert_eq!(write_to_exe(c.monitor()), READ_ONLY, "{kind}");
        }
        c.delete_force().ok();
    }
    // An ordinary container has /proc, and init in it before its program: it could make itself that program.
    let c = s.container("init", &program(s, &["probe=quiet", "probe=sleep"]));
    c.create().ok();
    assert_eq!(write_to_exe(c.pid()), READ_ONLY, "init runs from a file that can be written");
    c.delete_force().ok();
    fs::write(c.bundle.join("rootfs/script"), "#!/proc/self/exe\n").expect("script");
    fs::set_permissions(c.bundle.join("rootfs/script"), fs::Permissions::from_mode(0o755)).expect("mode");
    for args in [json!(["/proc/self/exe", "list"]), json!(["/script", "list"])] {
        let mut config: Value = serde_json::from_str(&text(&c.bundle.join("config.json"))).expect("JSON");
        config["process"]["args"] = args;
        fs::write(c.bundle.join("config.json"), config.to_string()).expect("config.json");
        c.create().ok();
        c.start();
        c.until_stopped();
        c.delete_force().ok();
    }
    assert!(programs() == before, "the program of the runtime or of the monitor has changed");
    nothing_left(s);
}

/// The runtime's program stays mapped beside an hvt guest. Whoever takes its process over has no /proc to reach the file
/// by, no call to open it with and no descriptor of it; and nobody of its user may look into the process.
fn hvt_is_alone(s: &Sandbox) {
    let before = fs::read(&s.runtime.program).expect("the runtime");
    let bundle = s.bundle("b").hvt("idle").with("/process/user", json!({"uid": 1000, "gid": 1000}));
    let c = s.container("a", &bundle);
    c.launch();
    until("the tender runs", || c.status_field("Seccomp") == "2");
    crate::hvt_guest::is_alone(&c);
    let exe = format!("/proc/{}/exe", c.pid());
    let looks = |uid: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "readlink", &exe]);
        command.output().expect("setpriv").status.success()
    };
    assert!(!looks("1000") && looks("0"), "its user may look into the process");
    c.delete_force().ok();
    assert!(fs::read(&s.runtime.program).expect("the runtime") == before, "the runtime has changed");
    nothing_left(s);
}

/// Names that a host might look for, in the places where it would.
const DECOYS: [&str; 15] = [
    "bin/qemu-system-x86_64",
    "usr/bin/qemu-system-x86_64",
    "usr/local/bin/qemu-system-x86_64",
    "usr/bin/firecracker",
    "usr/bin/cloud-hypervisor",
    "usr/bin/solo5-spt",
    "usr/bin/solo5-hvt",
    "usr/sbin/iptables",
    "usr/libexec/virtiofsd",
    "usr/sbin/runc",
    "lib64/ld-linux-x86-64.so.2",
    "lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libglib-2.0.so.0",
    "usr/share/qemu/bios-256k.bin",
    "usr/share/seabios/bios-256k.bin",
];

fn executed_image(s: &Sandbox) {
    let witness = s.dir.join("witness");
    let decoy = format!("#!/bin/sh\necho ran > {}\nexit 99\n", witness.display());
    let plant = |bundle: Bundle| {
        for name in DECOYS {
            let path = bundle.rootfs().join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(&path, &decoy).expect("decoy");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        bundle
    };
    // The machine's own QEMU, found as always.
    let linux = plant(s.bundle("linux").linux());
    let c = s.container("linux", &linux);
    c.create().ok();
    c.start().ok();
    let exe = fs::read_link(format!("/proc/{}/exe", c.monitor())).expect("exe");
    assert!(exe.ends_with("qemu-system-x86_64"), "{}", exe.display());
    c.kill("KILL").ok();
    c.until_stopped();
    assert_ne!(c.exit_code(), 99);
    c.delete().ok();
    // None: from inside of the image, with a search path that leads nowhere but there.
    let bundle = linux.path.display().to_string();
    for path in ["/nonexistent", "usr/bin:bin:."] {
        let (mut command, output) = s.command(["create", "--bundle", &bundle, &c.id]);
        let outcome = command::run(command.env("PATH", path).current_dir(linux.rootfs()), &output);
        one_line(s, &outcome, "qemu");
    }
    fs::write(&s.settings, "[monitors.qemu]\npath = \"/nonexistent/qemu\"\n").expect("settings");
    one_line(s, &c.create(), "/nonexistent/qemu");
    for name in ["firecracker", "cloud-hypervisor"] {
        only_the_host_s(s, &plant(on(s.bundle(name), name)), name);
    }
    for bundle in [s.bundle("spt").spt("hello"), s.bundle("hvt").hvt("hello")] {
        let c = s.container("solo5", &plant(bundle));
        c.launch();
        assert_eq!(c.exit_code(), 0);
        c.delete().ok();
    }
    assert!(!witness.exists(), "a file of the image was executed on the host");
    nothing_left(s);
}

/// A monitor that this machine lacks, and then has where the settings say.
fn only_the_host_s(s: &Sandbox, bundle: &Bundle, name: &str) {
    let c = s.container(name, bundle);
    one_line(s, &c.create(), name);
    let program = played(s, name);
    fs::write(&s.settings, format!("[monitors.{name}]\npath = \"{}\"\n", program.display()))
        .expect("settings");
    c.launch();
    let running = fs::metadata(format!("/proc/{}/exe", c.monitor())).expect("a program");
    assert_eq!(running.len(), fs::metadata(program).expect("a program").len());
    c.delete_force().ok();
}
