//! The runtime killed with SIGKILL in the middle of a command: one `delete --force` later nothing is left.

use crate::bundle::Bundle;
use crate::command::{self, until};
use crate::container::Container;
use crate::harness::Case;
use crate::probe::linux_on_probe;
use crate::reality::network::Network;
use crate::sandbox::{Sandbox, text};
use ledger::{Ledger, Scope};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

/// Hooks are the phases that a test can stop a command in: (kind, command that runs it).
const PHASES: [(&str, &str); 6] = [
    ("prestart", "create"),
    ("createRuntime", "create"),
    ("createContainer", "create"),
    ("startContainer", "start"),
    ("poststart", "start"),
    ("poststop", "delete"),
];

/// Makes the bundle of a case.
type Make = fn(&Sandbox) -> Bundle;

/// All cases of the groups `crash` (ordinary containers) and `crash-guest` (ours only).
pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = PHASES
        .into_iter()
        .map(|(kind, verb)| {
            Case::new("crash", format!("{verb}-killed-in-{kind}"), move |s| in_hook(s, kind, verb))
        })
        .collect();
    for verb in ["create", "start", "delete"] {
        let guests: [(&'static str, &str, Make); 3] = [
            ("crash", "", |s| s.bundle("b")),
            ("crash-guest", "-on-spt", |s| s.bundle("b").spt("idle")),
            ("crash-guest", "-on-qemu", |s| linux_on_probe(s, &["probe=quiet", "probe=qmp"])),
        ];
        for (group, suffix, bundle) in guests {
            let name = format!("{verb}-killed-at-many-moments{suffix}");
            cases.push(Case::new(group, name, move |s| at_many_moments(s, &bundle(s), verb)));
        }
    }
    for verb in ["create", "start", "delete"] {
        let name = format!("{verb}-killed-at-each-call-on-spt");
        cases.push(Case::new("crash-guest", name, move |s| {
            at_each_call(s, &s.bundle("b").spt("idle"), verb);
        }));
        let name = format!("{verb}-killed-at-each-call-on-qemu-with-a-network");
        cases.push(Case::new("crash-guest", name, move |s| {
            let _network = Network(s);
            let path = Network::make(s, &Network::usual());
            let bundle = linux_on_probe(s, &["probe=quiet", "probe=qmp"]);
            at_each_call(s, &bundle.namespace("network", Some(&path)), verb);
            // The ledger looked before the namespace was there.
            Network::remove(s);
        }));
    }
    for started in [false, true] {
        let status = if started { "running" } else { "created" };
        cases.push(Case::new("crash", format!("init-killed-when-{status}"), move |s| init_dies(s, started)));
    }
    cases
}

/// `verb`, not yet started, and where its output goes.
fn prepared(c: &Container<'_>, verb: &str) -> (Command, PathBuf) {
    let bundle = c.bundle.display().to_string();
    c.sandbox.command(match verb {
        "create" => vec!["create", "--bundle", &bundle, &c.id],
        verb => vec![verb, &c.id],
    })
}

/// Starts `verb` in the background.
fn begin(c: &Container<'_>, verb: &str) -> Child {
    let (mut command, output) = prepared(c, verb);
    command::spawn(&mut command, &output)
}

/// Brings the container to where `verb` can be run.
fn before(c: &Container<'_>, verb: &str) {
    if verb != "create" {
        c.create().ok();
    }
    if verb == "delete" {
        c.start().ok();
        c.kill("KILL").ok();
        c.until_stopped();
    }
}

/// A hook of `kind` that tells where it is and blocks until the file `release` appears.
fn blocking(bundle: Bundle, kind: &str) -> Bundle {
    let root = bundle.rootfs().display().to_string();
    let place = if kind == "startContainer" { "" } else { root.as_str() };
    let script = format!(
        "echo > {place}/tmp/reached; until [ -e {place}/tmp/release ]; do /bin/busybox sleep 0.01; done"
    );
    bundle.hook(kind, "/bin/sh", &script)
}

fn in_hook(s: &Sandbox, kind: &str, verb: &str) {
    let bundle = blocking(s.bundle("b"), kind);
    let c = s.container("a", &bundle);
    before(&c, verb);
    let mut child = begin(&c, verb);
    until("the hook runs", || bundle.rootfs().join("tmp/reached").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(bundle.rootfs().join("tmp/release"), "").unwrap();
    c.delete_force().ok();
    gone(&c);
}

/// After `delete --force` the id is free and nothing is left.
fn gone(c: &Container<'_>) {
    let left = c.sandbox.leftovers();
    assert!(left.is_empty(), "{left:#?}");
    c.verb("state").fails();
}

/// Kills `verb` after 0, 0.5, 1, … ms, far into its run: whatever the moment, `delete --force` must do.
fn at_many_moments(s: &Sandbox, bundle: &Bundle, verb: &str) {
    for moment in 0..40u32 {
        let c = s.container(&format!("m{moment}"), bundle);
        before(&c, verb);
        let mut child = begin(&c, verb);
        std::thread::sleep(Duration::from_micros(500) * moment);
        child.kill().unwrap();
        child.wait().unwrap();
        c.delete_force().ok();
        gone(&c);
    }
}

/// What changes the host, or is a step of the handshake.
const CALLS: [&str; 12] = [
    "clone3", "connect", "ioctl", "mkdirat", "recvfrom", "recvmsg", "renameat", "sendmsg", "sendto", "setns",
    "unlinkat", "write",
];

/// Kills `verb` as it enters the first, second, … of these calls, until there are no more. The id is always the same.
fn at_each_call(s: &Sandbox, bundle: &Bundle, verb: &str) {
    let c = s.container("a", bundle);
    let before_all = Ledger::take(&scope(s));
    let mut killed = 0;
    for call in CALLS {
        for number in 1.. {
            before(&c, verb);
            let (command, output) = prepared(&c, verb);
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let mut traced = Command::new("strace");
            traced
                .args(["-o", "/dev/null", "-e", &inject])
                .arg(command.get_program())
                .args(command.get_args());
            traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let code = command::run(&mut traced, &output).code;
            c.delete_force().ok();
            s.reap();
            let left = ledger::settle(&before_all, &scope(s), ledger::SETTLE);
            assert!(left.is_empty(), "{call} {number}: {left:#?}");
            if code == 0 {
                break;
            }
            assert_eq!(code, 137, "{call} {number}: {}", text(&output.with_extension("err")));
            killed += 1;
        }
    }
    assert!(killed >= 10, "killed {killed} times only");
}

/// All but the canary, which is watched, with the network of the case.
fn scope(s: &Sandbox) -> Scope {
    Scope { trees: Vec::new(), netns: vec![s.tag.clone()], ..s.scope() }
}

fn init_dies(s: &Sandbox, started: bool) {
    let c = s.container("a", &s.bundle("b"));
    c.create().ok();
    if started {
        c.start().ok();
    }
    let pid = rustix::process::Pid::from_raw(c.pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    c.until_stopped();
    c.start().fails();
    c.delete().ok();
    gone(&c);
}
