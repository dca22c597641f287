//! Cases of a review of the life cycle: each was once a defect.

use crate::command::until;
use crate::harness::Case;
use crate::sandbox::{Sandbox, text, unsealed};
use serde_json::{Value, json};

/// A case that is a function.
type Entry = (&'static str, fn(&Sandbox));

/// All cases of the group `review`.
pub fn cases() -> Vec<Case> {
    CASES.iter().map(|(name, run)| Case::new("review", *name, *run)).collect()
}

const CASES: &[Entry] = &[
    ("exec-in-an-unknown-container-answers-255", |s| {
        assert_eq!(s.run(["exec", &s.id("none"), "sh"]).code, 255);
    }),
    ("hooks-inside-get-the-pid-of-their-namespace", |s| {
        let bundle = s.bundle("b");
        let file = bundle.path.join("state");
        let c = s
            .container("a", &bundle.hook("createContainer", "/bin/sh", &format!("cat > {}", file.display())));
        c.create().ok();
        assert_eq!(serde_json::from_str::<Value>(&text(&file)).unwrap()["pid"], 1);
    }),
    ("hooks-of-create-run-in-the-bundle", |s| {
        let bundle = s.bundle("b");
        let bundle = bundle.hook("prestart", "/bin/sh", "echo > seen").hook(
            "createContainer",
            "/bin/sh",
            "echo >> seen",
        );
        let c = s.container("a", &bundle);
        c.create().ok();
        // runc runs the second kind in the root file system.
        let lines = text(&bundle.path.join("seen")).len() + text(&bundle.rootfs().join("seen")).len();
        assert_eq!(lines, 2);
    }),
    ("low-limits-bind-the-process-and-not-init", |s| {
        let limits = json!([
            {"type": "RLIMIT_NOFILE", "soft": 3, "hard": 3},
            {"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0},
            {"type": "RLIMIT_NPROC", "soft": 1, "hard": 1},
        ]);
        let bundle = s.bundle("b").script("ulimit -n; ulimit -f; sleep 1000");
        let c = s.container("a", &bundle.with("/process/rlimits", limits));
        c.create().ok();
        c.start().ok();
        until("the limits are there", || c.proc("limits").contains("Max open files            3 "));
    }),
    ("nameservers-that-cannot-be-read-are-missed-aloud", |s| {
        for (name, source) in [("missing", "/run/suite-none"), ("directory", "/etc"), ("device", "/dev/zero")]
        {
            let mut bundle = s.bundle(name).spt("hello");
            let mount = json!({"destination": "/etc/resolv.conf", "type": "bind", "source": source});
            bundle.config["mounts"].as_array_mut().unwrap().push(mount);
            bundle.write();
            let c = s.container(name, &bundle);
            c.launch();
            let told = |line: &&String| line.contains(source) && line.contains("no nameserver");
            assert_eq!(s.log().iter().filter(told).count(), 1, "{:?}", s.log());
        }
    }),
    ("a-failed-exec-is-told-with-its-cause", |s| {
        let bundle = s.bundle("b").with("/process/args", json!(["/missing"]));
        let c = s.container("a", &bundle);
        c.create().ok();
        let error = c.start().fails();
        assert!(error.contains("/missing"), "{error}");
        assert_eq!(error.matches("os error 2").count(), 1, "{error}");
    }),
    ("a-parked-init-hides-its-files-from-its-user", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.create().ok();
        // The same user without capabilities, as a neighbour in a joined pid namespace would be.
        let link = std::process::Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "readlink"])
            .arg(format!("/proc/{}/exe", c.pid()))
            .output()
            .expect("setpriv");
        assert!(!link.status.success(), "{link:?}");
    }),
    ("a-failed-create-hook-is-followed-by-poststop", |s| {
        let bundle = s.bundle("b").hook("createRuntime", "/bin/sh", "exit 3");
        let file = bundle.path.join("stopped");
        let c = s.container("a", &bundle.hook("poststop", "/bin/sh", &format!("cat > {}", file.display())));
        c.create().fails();
        assert_eq!(serde_json::from_str::<Value>(&text(&file)).unwrap()["status"], "stopped");
    }),
    ("a-delete-that-died-half-way-is-taken-up-again", |s| {
        let c = s.container("a", &s.bundle("b").busybox(&["true"]));
        c.launch();
        c.until_stopped();
        let dir = s.root().join(&c.id);
        for name in ["status.json", "record.json", "plan.json", "init.sock"] {
            let _ = std::fs::remove_file(dir.join(name));
            c.verb("list");
        }
        c.delete().ok();
        assert!(!dir.exists());
        // What the missing plan would have removed.
        c.create().ok();
    }),
    ("a-second-start-never-hurts-a-running-guest", |s| {
        let c = s.container("a", &s.bundle("b").stoppable(0));
        c.launch();
        // As if the first start had died before its last word.
        let file = s.root().join(&c.id).join("status.json");
        let status = unsealed(&text(&file)).replace("\"running\"", "\"created\"");
        std::fs::write(&file, status).unwrap();
        assert!(c.start().fails().contains("already running"));
        assert_eq!(c.status(), "running");
    }),
    ("other-commands-work-while-run-waits", |s| {
        let c = s.container("a", &s.bundle("b").stoppable(0));
        let bundle = c.bundle.display().to_string();
        let (mut command, output) = s.command(["run", "--bundle", &bundle, &c.id]);
        let mut child = crate::command::spawn(&mut command, &output);
        until("the process runs", || text(&output.with_extension("out")).contains("ready"));
        c.start().fails();
        c.delete().fails();
        c.delete_force().ok();
        crate::command::wait(&mut child, crate::command::HANG, "run");
    }),
    ("a-start-whose-init-dies-fails", |s| {
        let bundle =
            s.bundle("b").hook("startContainer", "/bin/sh", "echo > /began; exec /bin/busybox sleep 1000");
        let began = bundle.rootfs().join("began");
        let c = s.container("a", &bundle);
        c.create().ok();
        let (mut command, output) = s.command(["start", &c.id]);
        let mut child = crate::command::spawn(&mut command, &output);
        until("the hook runs", || began.exists());
        let pid = rustix::process::Pid::from_raw(c.pid()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        assert_eq!(crate::command::wait(&mut child, crate::command::HANG, "start"), 1);
        assert_eq!(c.status(), "stopped");
    }),
    ("run-of-a-guest-that-faults-returns-128-and-the-signal", |s| {
        assert_eq!(s.container("a", &s.bundle("b").spt("segv")).on_bundle("run", &[]).code, 139);
    }),
    ("a-state-root-that-cannot-be-written-is-named", |s| {
        s.bound_root("ro,mode=700");
        let error = s.container("a", &s.bundle("b")).create().fails();
        assert!(error.contains("--root") && error.contains("Read-only"), "{error}");
    }),
    ("options-that-are-not-built-are-refused-in-words", |s| {
        let c = s.container("a", &s.bundle("b"));
        assert!(c.create_with(&["--pidfd-socket", "/tmp/x"]).fails().contains("--pidfd-socket"));
        let bundle = c.bundle.display().to_string();
        assert!(
            s.run(["--rootless=true", "create", "--bundle", &bundle, &c.id]).fails().contains("--rootless")
        );
        // Without systemd it is refused, and with it this bundle's path is.
        for option in ["--cgroup-manager=systemd", "--systemd-cgroup"] {
            assert!(s.run([option, "create", "--bundle", &bundle, &c.id]).fails().contains("systemd"));
        }
        s.run(["--cgroup-manager=cgroupfs", "--rootless=false", "create", "--bundle", &bundle, &c.id]).ok();
    }),
    ("containers-of-crun-under-the-same-root-stay-crun-s", |s| {
        std::fs::write(&s.settings, "[runtime]\ndelegate = \"/bin/echo\"\n").unwrap();
        std::fs::create_dir_all(s.root().join("foreign")).unwrap();
        std::fs::set_permissions(s.root(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::write(s.root().join("foreign/status"), "{}").unwrap();
        let outcome = s.run(["state", "foreign"]).ok();
        assert!(outcome.stdout.ends_with("state foreign\n"), "{}", outcome.stdout);
    }),
];
