//! The profile of config.json is on the monitor, whatever it is.

use super::Entry;
use crate::bundle::Bundle;
use crate::probe::linux_on_probe;
use crate::sandbox::Sandbox;
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};

pub(super) const CASES: &[Entry] = &[
    ("a-process-is-confined", |s| confined(s, s.bundle("b"))),
    ("the-built-in-monitor-is-confined", |s| confined(s, s.bundle("b").spt("idle"))),
    ("an-external-monitor-is-confined", |s| {
        confined(s, linux_on_probe(s, &["probe=quiet", "probe=qmp"]));
    }),
    ("a-profile-that-is-not-loaded-is-an-error", |s| {
        let bundle = s.bundle("b").with("/process/apparmorProfile", json!(s.id("absent")));
        let error = s.container("a", &bundle).create().fails();
        assert!(error.contains("apparmor") && error.contains(&s.id("absent")), "{error}");
    }),
];

fn confined(s: &Sandbox, bundle: Bundle) {
    let name = s.id("profile");
    let profile = Profile::load(&name);
    let c = s.container("a", &bundle.with("/process/apparmorProfile", json!(name)));
    c.launch();
    assert_eq!(c.proc("attr/current"), format!("{name} (enforce)\n"));
    c.delete_force().ok();
    drop(profile);
}

/// A loaded profile that allows what a container does; gone with the value.
struct Profile(String);

impl Profile {
    fn load(name: &str) -> Self {
        let profile = Self(format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{\n\
             file,\n network,\n capability,\n signal,\n ptrace,\n unix,\n umount,\n deny mount,\n}}\n"
        ));
        profile.parser("--add");
        profile
    }

    fn parser(&self, action: &str) {
        let mut parser = Command::new("apparmor_parser");
        parser.args(["--skip-cache", "--quiet", action]).stdin(Stdio::piped());
        let mut child = parser.spawn().expect("apparmor is installed");
        child.stdin.take().expect("a pipe").write_all(self.0.as_bytes()).expect("apparmor_parser reads");
        assert!(child.wait().expect("wait").success(), "apparmor_parser {action}");
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}
