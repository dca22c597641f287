//! C: descriptors and identity: what a monitor gets from the runtime and from its caller, and what it must not.

use super::{Entry, in_words, nothing_left};
use crate::bundle::Bundle;
use crate::bystander::Bystander;
use crate::command::{self, Outcome, inheritable, until};
use crate::container::Container;
use crate::harness::Case;
use crate::probe::{linux_on_probe, probe};
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("c-01-leaked-descriptor-and-working-directory", leaked_descriptors),
    ("c-04-inherited-capabilities-and-groups", inherited_identity),
    ("c-05-pid-confusion", confused_pids),
    ("c-06-environment-and-secrets", environment),
];

/// The probe as an ordinary program of the image, with these words.
pub(super) fn program(s: &Sandbox, words: &[&str]) -> Bundle {
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
pub(super) fn report(output: &Path) -> Value {
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
    const MARK: &str = "of-the-caller-alone";
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
