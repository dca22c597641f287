//! Cases of a review of the life cycle: each was once a defect.

use crate::command::until;
use crate::harness::Case;
use crate::sandbox::{Sandbox, text};
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
];
