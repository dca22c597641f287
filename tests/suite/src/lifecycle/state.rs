//! `state`, `list` and `ps`.

use super::Entry;
use crate::sandbox::Sandbox;
use serde_json::json;

pub(super) const CASES: &[Entry] = &[
    ("state-of-an-unknown-container-fails", |s| {
        assert!(s.run(["state", &s.id("nobody")]).fails().contains("does not exist"));
    }),
    ("state-without-id-fails", |s| {
        s.run(["state"]).fails();
    }),
    ("state-says-created-running-stopped", statuses),
    ("state-has-the-fields-of-the-specification-and-of-runc", fields),
    ("list-shows-every-container", list),
    ("list-of-an-empty-root-is-empty", |s| {
        assert_eq!(s.run(["list", "--quiet"]).ok().stdout, "");
        assert!(matches!(s.run(["list", "--format", "json"]).ok().stdout.trim(), "null" | "[]"));
    }),
    ("list-refuses-an-unknown-format", |s| {
        s.run(["list", "--format", "yaml"]).fails();
    }),
    ("ps-shows-the-process", ps),
    ("ps-of-an-unknown-container-fails", |s| {
        s.run(["ps", &s.id("nobody")]).fails();
    }),
    ("the-version-has-a-spec-line", |s| {
        let text = s.run(["--version"]).ok().stdout;
        assert!(text.lines().any(|line| line.starts_with("spec: 1.")), "{text}");
    }),
    ("spec-writes-a-config-that-creates", |s| {
        let mut bundle = s.bundle("b");
        std::fs::remove_file(bundle.path.join("config.json")).unwrap();
        s.run(["spec", "--bundle", &bundle.path.display().to_string()]).ok();
        let text = crate::sandbox::text(&bundle.path.join("config.json"));
        bundle.config = serde_json::from_str(&text).unwrap();
        assert_eq!(bundle.config["root"]["path"], "rootfs");
        assert!(bundle.config["ociVersion"].as_str().unwrap().starts_with("1."));
        s.run(["spec", "--bundle", &bundle.path.display().to_string()]).fails();
    }),
];

fn statuses(s: &Sandbox) {
    let c = s.container("a", &s.bundle("b").stoppable(0));
    c.create().ok();
    assert_eq!(c.status(), "created");
    c.start().ok();
    assert_eq!(c.status(), "running");
    c.kill("KILL").ok();
    c.until_stopped();
    assert_eq!(c.state()["pid"], 0);
    c.delete().ok();
    c.verb("state").fails();
}

fn fields(s: &Sandbox) {
    let c = s.container("a", &s.bundle("b").with("/annotations", json!({"k": "v"})));
    c.create().ok();
    let state = c.state();
    assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
    assert_eq!(state["id"], c.id);
    assert_eq!(state["bundle"], c.bundle.display().to_string());
    assert_eq!(state["rootfs"], c.bundle.join("rootfs").display().to_string());
    assert_eq!(state["annotations"], json!({"k": "v"}));
    assert_eq!(state["owner"], "");
    // RFC 3339, as Go prints it.
    let created = state["created"].as_str().unwrap();
    assert!(created.len() >= 20 && created.as_bytes()[10] == b'T' && created.ends_with('Z'), "{created}");
}

fn list(s: &Sandbox) {
    let (a, b) = (s.container("a", &s.bundle("a").stoppable(0)), s.container("b", &s.bundle("b")));
    a.launch();
    b.create().ok();
    let quiet = s.run(["list", "-q"]).ok().stdout;
    let mut ids: Vec<&str> = quiet.lines().collect();
    ids.sort_unstable();
    assert_eq!(ids, [&a.id, &b.id]);
    let all = s.run(["list", "--format", "json"]).ok().json();
    let entry = all.as_array().unwrap().iter().find(|e| e["id"] == a.id).unwrap().clone();
    assert_eq!(entry["status"], "running");
    assert_eq!(entry["pid"].as_i64(), Some(i64::from(a.pid())));
    for field in ["ociVersion", "bundle", "rootfs", "created", "owner"] {
        assert!(entry[field].is_string(), "{field} is missing: {entry}");
    }
    let table = s.run(["list"]).ok().stdout;
    let heads: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(heads, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    assert_eq!(table.lines().count(), 3, "{table}");
}

fn ps(s: &Sandbox) {
    let c = s.container("a", &s.bundle("b"));
    c.launch();
    let pid = c.pid();
    let json = s.run(["ps", "--format", "json", &c.id]).ok().json();
    assert!(json.as_array().unwrap().iter().any(|p| p.as_i64() == Some(i64::from(pid))), "{json}");
    let table = s.run(["ps", &c.id]).ok().stdout;
    assert!(table.lines().next().unwrap().contains("PID"), "{table}");
    assert!(table.lines().any(|line| line.split_whitespace().any(|word| word == pid.to_string())), "{table}");
}
