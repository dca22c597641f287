//! `delete`.

use super::Entry;
use crate::sandbox::Sandbox;

pub(super) const CASES: &[Entry] = &[
    ("delete-a-stopped-container-leaves-nothing", |s| {
        let c = s.container("a", &s.bundle("b").busybox(&["true"]));
        c.launch();
        c.until_stopped();
        c.delete().ok();
        c.verb("state").fails();
        let left = s.leftovers();
        assert!(left.is_empty(), "{left:#?}");
    }),
    // Unlike the specification, like runc: containerd deletes a task that was never started without force.
    ("delete-a-created-container-leaves-nothing", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.create().ok();
        c.delete().ok();
        c.verb("state").fails();
        let left = s.leftovers();
        assert!(left.is_empty(), "{left:#?}");
    }),
    ("delete-a-running-container-fails-without-effect", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.launch();
        c.delete().fails();
        assert_eq!(c.status(), "running");
    }),
    ("delete-an-unknown-container-fails", |s| {
        assert!(s.run(["delete", &s.id("nobody")]).fails().contains("does not exist"));
    }),
    ("delete-without-id-fails", |s| {
        s.run(["delete"]).fails();
    }),
    ("delete-force-of-a-created-container", |s| forced(s, "created")),
    ("delete-force-of-a-running-container", |s| forced(s, "running")),
    ("delete-force-of-a-stopped-container", |s| forced(s, "stopped")),
    ("delete-force-of-an-unknown-container-succeeds", |s| {
        s.run(["delete", "--force", &s.id("nobody")]).ok();
    }),
    ("an-id-can-be-used-again-after-delete", |s| {
        let bundle = s.bundle("b").busybox(&["true"]);
        for _ in 0..3 {
            let c = s.container("a", &bundle);
            c.launch();
            c.until_stopped();
            c.delete().ok();
        }
    }),
    ("delete-needs-neither-bundle-nor-rootfs", |s| {
        let bundle = s.bundle("b");
        let c = s.container("a", &bundle);
        c.launch();
        std::fs::remove_dir_all(&bundle.path).unwrap();
        c.kill("KILL").ok();
        c.until_stopped();
        c.delete().ok();
    }),
];

fn forced(s: &Sandbox, status: &str) {
    let c = s.container("a", &s.bundle("b"));
    c.create().ok();
    if status != "created" {
        c.start().ok();
    }
    if status == "stopped" {
        c.kill("KILL").ok();
        c.until_stopped();
    }
    assert_eq!(c.status(), status);
    c.delete_force().ok();
    c.verb("state").fails();
    c.delete_force().ok();
    let left = s.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}
