//! C: descriptors, identity, executables: what a monitor gets from the runtime and from its caller, and what it must not.

use super::{Entry, in_words, nothing_left, rounds};
use crate::bad_input::one_line;
use crate::bundle::Bundle;
use crate::bystander::Bystander;
use crate::command::{self, Outcome, inheritable, until};
use crate::container::Container;
use crate::harness::Case;
use crate::probe::{linux_on_probe, probe};
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("c-01-leaked-descriptor-and-working-directory", leaked_descriptors),
    ("c-02-overwrite-of-the-runtime-by-its-exe", overwritten_runtime),
    ("c-02-an-hvt-guest-has-no-way-to-the-runtime", hvt_is_alone),
    ("c-03-host-executes-image-content", executed_image),
    ("c-04-inherited-capabilities-and-groups", inherited_identity),
    ("c-05-pid-confusion", confused_pids),
    ("c-06-environment-and-secrets", environment),
];

/// The probe as an ordinary program of the image, with these words.
fn program(s: &Sandbox, words: &[&str]) -> Bundle {
    let bundle = s.bundle("b");
    fs::copy(probe(), bundle.rootfs().join("probe")).expect("probe");
    let args: Vec<&str> = std::iter::once("/probe").chain(words.iter().copied()).collect();
    bundle.with("/process/args", json!(args))
}

/// The probe in the place of QEMU, with these words.
fn monitor(s: &Sandbox, words: &[&str]) -> Bundle {
    let bundle = linux_on_probe(s, words);
    // Ordinary containers are ours as well.
    let settings = text(&s.settings) + "[runtime]\ndelegate = \"process\"\n";
    fs::write(&s.settings, settings).expect("settings");
    bundle
}

/// What the probe of a started container reports.
fn report(output: &Path) -> Value {
    let output = output.with_extension("out");
    until("the probe reports", || text(&output).contains('\n'));
    serde_json::from_str(text(&output).lines().next().expect("a line")).expect("a report")
}

/// `create` and `start` through `program ARGUMENTS... runtime ...`.
fn launch_by(c: &Container<'_>, program: &str, arguments: &[&str]) -> Outcome {
    let bundle = c.bundle.display().to_string();
    let pid_file = c.pid_file().display().to_string();
    let (inner, output) = c.sandbox.command(["create", "--bundle", &bundle, "--pid-file", &pid_file, &c.id]);
    let mut command = Command::new(program);
    command.args(arguments).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let created = command::run(&mut command, &output).ok();
    c.start().ok();
    created
}

/// Makes the bundle of a container with these words for the probe.
type Make = fn(&Sandbox, &[&str]) -> Bundle;

fn leaked_descriptors(s: &Sandbox) {
    let leaked: Vec<_> =
        ["/", "/etc", "/proc", "/dev/zero", "/dev/kmsg", "/dev/ptmx"].into_iter().cycle().take(38).collect();
    let leaked: Vec<_> = leaked.into_iter().map(inheritable).collect();
    let cwds = (3..41).step_by(6).map(|n| format!("/proc/self/fd/{n}"));
    let cwds = cwds.chain(["/proc/1/cwd", "/proc/self/cwd", "/link", "/tmp"].map(str::to_owned));
    let mut lived = 0;
    for cwd in cwds {
        // The monitor has two planned descriptors, and no directory but its root.
        for (planned, here, make) in [(5, "/", monitor as Make), (3, "/tmp", program as Make)] {
            let bundle = make(s, &["probe=brief", "probe=qmp", "probe=sleep"]);
            let _ = symlink("/proc/self/fd/7", bundle.rootfs().join("link"));
            let c = s.container("a", &bundle.with("/process/cwd", json!(cwd)));
            let created = c.create();
            let output = s.last_output();
            let started = if created.code == 0 { c.start() } else { created };
            in_words(s, &started);
            if started.code == 0 {
                let seen = report(&output);
                let fds: Vec<&Value> =
                    seen["fds"].as_array().expect("fds").iter().map(|fd| &fd["fd"]).collect();
                assert_eq!(json!(fds), json!((0..planned).collect::<Vec<_>>()), "{cwd}");
                let process = format!("/proc/{}", c.monitor());
                let place = |path: &str| {
                    fs::metadata(format!("{process}/{path}/.")).map(|meta| (meta.dev(), meta.ino())).ok()
                };
                let seen = place("cwd").expect("a directory");
                let may_be = |path: &str| place(&format!("root{path}")) == Some(seen);
                assert!(may_be(here) || (cwd != "/tmp" && may_be("/")), "{cwd}: {seen:?}");
                lived += 1;
            }
            c.delete_force().ok();
            fs::remove_dir_all(&c.bundle).expect("bundle");
        }
    }
    assert!(lived >= 2, "only {lived} lived");
    drop(leaked);
    nothing_left(s);
}

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
    let bundle = monitor(s, &["probe=quiet", "probe=qmp"]);
    let c = s.container("monitor", &bundle);
    c.launch();
    let mounts = c.proc("mountinfo");
    assert!(!mounts.contains(" - proc "), "{mounts}");
    for _ in 0..rounds(1000) {
        assert_eq!(write_to_exe(c.monitor()), READ_ONLY);
    }
    c.delete_force().ok();
    // An ordinary container has /proc, and init in it before its program: it could make itself that program.
    fs::remove_dir_all(&bundle.path).expect("bundle");
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
const DECOYS: [&str; 12] = [
    "bin/qemu-system-x86_64",
    "usr/bin/qemu-system-x86_64",
    "usr/local/bin/qemu-system-x86_64",
    "usr/bin/firecracker",
    "usr/bin/solo5-spt",
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
    let c = s.container("spt", &plant(s.bundle("spt").spt("hello")));
    c.launch();
    assert_eq!(c.exit_code(), 0);
    c.delete().ok();
    assert!(!witness.exists(), "a file of the image was executed on the host");
    nothing_left(s);
}

fn inherited_identity(s: &Sandbox) {
    let sets = json!(["CAP_CHOWN", "CAP_NET_RAW", "CAP_SYS_ADMIN"]);
    let sets =
        json!({"bounding": sets, "effective": sets, "permitted": sets, "inheritable": sets, "ambient": sets});
    let caller = [
        "--groups",
        "0,4,27",
        "--inh-caps",
        "+chown,+net_raw,+sys_admin",
        "--ambient-caps",
        "+chown,+net_raw,+sys_admin",
    ];
    for uid in [0, 65534] {
        for filters in ["1", "2"] {
            // The monitor has its own lists; an ordinary program has the profile of config.json.
            let bundle = if filters == "2" {
                monitor(s, &["probe=quiet", "probe=qmp"])
            } else {
                let profile =
                    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"]});
                program(s, &["probe=quiet", "probe=sleep"]).with("/linux/seccomp", profile)
            };
            let user = json!({"uid": uid, "gid": uid, "additionalGids": [1000]});
            let bundle = bundle.with("/process/user", user);
            // A monitor has none, whatever config.json says.
            let bundle =
                if filters == "2" { bundle.with("/process/capabilities", sets.clone()) } else { bundle };
            let c = s.container("a", &bundle);
            launch_by(&c, "setpriv", &caller);
            assert_eq!(c.status_field("Groups"), "1000");
            assert_eq!(c.status_field("Uid"), format!("{uid} {uid} {uid} {uid}"));
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(c.status_field(set), "0".repeat(16), "{set}");
            }
            assert_eq!(c.status_field("NoNewPrivs"), "1");
            assert_eq!(
                (c.status_field("Seccomp"), c.status_field("Seccomp_filters")),
                ("2".into(), filters.into())
            );
            c.delete_force().ok();
            fs::remove_dir_all(&c.bundle).expect("bundle");
        }
    }
    nothing_left(s);
}

fn confused_pids(s: &Sandbox) {
    s.run(["list", "-q"]).ok();
    let mut bystander = Bystander::new(0);
    let c = s.container("a", &s.bundle("b").spt("idle"));
    // The last two: a number that came again, in this boot and before.
    for pid in [-1, 0, 1, i64::from(std::process::id()), i64::from(bystander.pid())] {
        for boot in [None, Some("00000000-0000-0000-0000-000000000000")] {
            c.launch();
            let file = s.root().join(&c.id).join("status.json");
            let mut status: Value = serde_json::from_str(&text(&file)).expect("status.json");
            status["pid"] = json!(pid);
            if let Some(boot) = boot {
                assert!(status["boot_id"].is_string(), "{status}");
                status["boot_id"] = json!(boot);
            }
            fs::write(&file, status.to_string()).expect("status.json");
            for signal in ["0", "TERM", "KILL"] {
                in_words(s, &c.kill(signal));
            }
            in_words(s, &c.delete());
            c.delete_force();
            s.reap();
            assert!(bystander.lives(), "{pid}: the bystander was killed");
        }
    }
    drop(bystander);
    nothing_left(s);
}

fn environment(s: &Sandbox) {
    const MARK: &str = "of-the-runtime";
    const SECRET: &str = "of-the-container-alone";
    let markers: Vec<String> = (0..200).map(|n| format!("MARKER_{n}={MARK}")).collect();
    let markers: Vec<&str> = markers.iter().map(String::as_str).collect();
    let with_secret = |bundle: Bundle| bundle.with("/process/env", json!([format!("SECRET={SECRET}")]));
    let bundles = [
        // A Linux guest takes its environment from the kernel's command line: what goes there is no secret.
        (monitor(s, &["probe=quiet", "probe=qmp"]), false),
        (with_secret(s.bundle("spt").spt("idle")), true),
        (with_secret(s.bundle("program")), true),
    ];
    for (name, (bundle, secret)) in ["qemu", "spt", "program"].into_iter().zip(bundles) {
        let c = s.container(name, &bundle);
        launch_by(&c, "env", &markers);
        let environment = c.proc("environ");
        assert!(!environment.contains(MARK), "{name}: {environment}");
        assert_eq!(environment.contains(SECRET), secret && name == "program", "{name}: {environment}");
        for process in fs::read_dir("/proc").expect("proc").flatten() {
            let argv = text(&process.path().join("cmdline"));
            // Those of the case: the caller's own `env` has ended.
            assert!(!argv.contains(SECRET) && !argv.contains(MARK), "{argv}");
        }
        c.delete_force().ok();
    }
    nothing_left(s);
}
