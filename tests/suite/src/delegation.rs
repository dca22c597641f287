//! Ordinary containers belong to another runtime: every command goes there with identical argv, and what is ours, but
//! broken, never does. The delegate is a script that notes its argv and becomes runc or crun.

use crate::bundle::Bundle;
use crate::command::Outcome;
use crate::container::Container;
use crate::harness::Case;
use crate::image::{SPT, guest, replaced};
use crate::sandbox::Sandbox;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

type Entry = (&'static str, fn(&Sandbox));

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let cases: [Entry; 15] = [
        ("every-command-goes-to-the-delegate-with-identical-argv", |s| {
            every_command(&Delegate::new(s, "runc", "runc"), &s.bundle("b"));
        }),
        ("a-pod-sandbox-with-unikernel-keys-goes-to-the-delegate", |s| {
            every_command(&Delegate::new(s, "runc", "runc"), &pod_sandbox(s));
        }),
        // crun refuses hybrid hierarchies, so it gets a mount namespace with cgroup2 only; for device rules it raises
        // a limit, which not every host allows.
        ("crun-is-a-delegate", |s| {
            let bundle = s.bundle("b").with("/linux/resources", json!({}));
            every_command(&Delegate::new(s, "crun", CRUN), &bundle);
        }),
        ("run-gives-the-output-and-exit-code-of-the-delegate", run),
        ("run-detached-stores-the-verdict", run_detached),
        ("the-verdict-outlives-a-changed-configuration", changed_configuration),
        ("a-refused-create-leaves-no-verdict", refused_create),
        ("a-refused-delete-keeps-the-verdict", refused_delete),
        ("a-broken-unikernel-never-reaches-the-delegate", broken),
        ("containers-that-the-delegate-made-by-itself-are-known", shared_root),
        ("list-merges-both", list),
        ("queue-proxy-is-led-to-the-guest", queue_proxy),
        ("an-image-with-nothing-but-a-kernel-is-a-unikernel", keyless),
        ("a-kernel-that-does-not-say-what-it-is-goes-to-the-delegate", mute),
        ("a-pod-sandbox-with-a-kernel-goes-to-the-delegate", |s| {
            let annotations = json!({"io.kubernetes.cri.container-type": "sandbox"});
            let bundle = with_kernel(s.bundle("b"), ".boot/kernel", &fs::read(guest("hello")).unwrap());
            every_command(&Delegate::new(s, "runc", "runc"), &bundle.with("/annotations", annotations));
        }),
    ];
    cases.into_iter().map(|(name, run)| Case::new("delegation", name, run)).collect()
}

/// crun where /sys/fs/cgroup is the unified hierarchy.
const CRUN: &str = "unshare -m sh -c 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec crun \"$@\"' crun";

/// A delegate that notes its argv, and is set as such.
struct Delegate<'a> {
    sandbox: &'a Sandbox,
    notes: PathBuf,
}

impl<'a> Delegate<'a> {
    fn new(sandbox: &'a Sandbox, name: &str, command: &str) -> Self {
        let (script, notes) =
            (sandbox.dir.join(format!("as-{name}")), sandbox.dir.join(format!("{name}.argv")));
        let text = format!(
            "#!/bin/sh\nprintf '%s\\0' \"$@\" >> {notes}\nprintf '\\036' >> {notes}\nexec {command} \"$@\"\n",
            notes = notes.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = format!("[runtime]\ndelegate = {:?}\n", script.display().to_string());
        fs::write(&sandbox.settings, settings).unwrap();
        Self { sandbox, notes }
    }

    /// Every argv so far.
    fn calls(&self) -> Vec<Vec<OsString>> {
        let notes = fs::read(&self.notes).unwrap_or_default();
        let calls = notes.split(|byte| *byte == 0x1e).filter(|call| !call.is_empty());
        let words = |call: &[u8]| {
            let words = call.strip_suffix(&[0]).unwrap_or(call).split(|byte| *byte == 0);
            words.map(|word| std::ffi::OsStr::from_bytes(word).to_owned()).collect()
        };
        calls.map(words).collect()
    }

    /// Runs a command; it must reach the delegate once, with the argv that the runtime was given.
    fn gets(&self, words: &[&str]) -> Outcome {
        let before = self.calls().len();
        let (mut command, output) = self.sandbox.command(words);
        let given: Vec<OsString> = command.get_args().map(ToOwned::to_owned).collect();
        let outcome = crate::command::run(&mut command, &output);
        let calls = self.calls();
        assert_eq!(calls.get(before..), Some(&[given][..]), "{words:?}: {}", outcome.stderr);
        outcome
    }

    /// The stored verdict.
    fn verdict(&self, id: &str) -> Option<Value> {
        let bytes = fs::read(self.sandbox.root().join(format!(":{id}"))).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }
}

/// Keys of a unikernel on an infrastructure container: a pod's sandbox is never a unikernel.
fn pod_sandbox(s: &Sandbox) -> Bundle {
    let mut annotations = json!({"io.kubernetes.cri.container-type": "sandbox"});
    for (name, value) in SPT {
        annotations[format!("com.urunc.unikernel.{name}")] = json!(value);
    }
    s.bundle("b").with("/annotations", annotations)
}

/// Knative's sidecar, with a field that no release knows yet: the delegate reads a config.json that differs in two
/// variables.
fn queue_proxy(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let probe = r#"SERVING_READINESS_PROBE={"tcpSocket":{"port":8080,"host":"127.0.0.1"}}"#;
    let bundle = s.bundle("b").busybox(&["env"]).with("/process/env", json!(["A=1", probe, "B=2"]));
    let mut annotations = json!({"io.kubernetes.cri.container-name": "queue-proxy"});
    for (name, value) in SPT {
        annotations[format!("com.urunc.unikernel.{name}")] = json!(value);
    }
    let bundle = bundle.with("/annotations", annotations).with("/later", json!({"b": 1.50, "a": null}));
    let file = bundle.path.join("config.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::read_to_string(&file).unwrap();
    // A look changes nothing.
    s.run(["plan", "-b", &bundle.path.display().to_string()]).fails();
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    let said = delegate.gets(&["run", "-b", &bundle.path.display().to_string(), &s.id("a")]).ok().stdout;
    let line = r#"SERVING_READINESS_PROBE={"tcpSocket":{"host":"172.16.1.2","port":8080}}"#;
    for line in ["A=1", line, "B=2", "REDIRECT_IP=172.16.1.2"] {
        assert!(said.lines().any(|said| said == line), "{line} in {said}");
    }
    let mut expected: Value = serde_json::from_str(&before).unwrap();
    expected["process"]["env"] = json!(["A=1", line, "B=2", "REDIRECT_IP=172.16.1.2"]);
    let after: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(after, expected);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
}

fn every_command(delegate: &Delegate<'_>, bundle: &Bundle) {
    let (s, id) = (delegate.sandbox, delegate.sandbox.id("a"));
    let path = bundle.path.display().to_string();
    let pid_file = s.dir.join("pid file").display().to_string();
    delegate.gets(&["create", "--pid-file", &pid_file, "-b", &path, "--no-new-keyring", &id]).ok();
    let verdict = delegate.verdict(&id).expect("a stored verdict");
    assert!(!verdict["reason"].as_str().unwrap().is_empty());
    assert_eq!(delegate.gets(&["state", &id]).ok().json()["status"], "created");
    delegate.gets(&["start", &id]).ok();
    let said = delegate.gets(&["exec", "-e", "A=b c", &id, "/bin/busybox", "echo", "x  y", "--", ""]).ok();
    assert_eq!(said.stdout, "x  y -- \n");
    assert_eq!(delegate.gets(&["exec", &id, "/bin/busybox", "sh", "-c", "exit 7"]).code, 7);
    delegate.gets(&["ps", "-f", "json", &id]).ok();
    // Whether it can is a matter of the host's controllers.
    delegate.gets(&["update", "--pids-limit", "50", &id]);
    delegate.gets(&["kill", "--all", &id, "CONT"]);
    delegate.gets(&["kill", &id, "9"]).ok();
    let c = Container::new(s, id.clone(), bundle.path.clone());
    c.until_stopped();
    delegate.gets(&["delete", &id]).ok();
    assert!(delegate.verdict(&id).is_none(), "the verdict outlives its container");
    let calls = delegate.calls().len();
    c.verb("state").fails();
    assert_eq!(delegate.calls().len(), calls, "an unknown container is nobody's");
}

fn run(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let bundle = s.bundle("b").script("echo hello; exit 9").path.display().to_string();
    let outcome = delegate.gets(&["run", "--bundle", &bundle, &s.id("a")]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (9, "hello\n"), "{}", outcome.stderr);
    assert!(delegate.verdict(&s.id("a")).is_none());
}

fn run_detached(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let (bundle, id) = (s.bundle("b").path.display().to_string(), s.id("a"));
    delegate.gets(&["run", "--detach", "--bundle", &bundle, &id]).ok();
    assert!(delegate.verdict(&id).is_some());
    delegate.gets(&["delete", "--force", &id]).ok();
    assert!(delegate.verdict(&id).is_none());
}

fn changed_configuration(s: &Sandbox) {
    let delegate = Delegate::new(s, "first", "runc");
    let c = s.container("a", &s.bundle("b"));
    delegate.gets(&["create", "-b", &c.bundle.display().to_string(), &c.id]).ok();
    let other = Delegate::new(s, "second", "/bin/false");
    delegate.gets(&["state", &c.id]).ok();
    fs::write(&s.settings, "[runtime]\ndelegate = \"process\"\n").unwrap();
    delegate.gets(&["delete", "--force", &c.id]).ok();
    assert_eq!(other.calls().len(), 0);
}

fn refused_create(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let bundle = s.bundle("b").busybox(&[]).with("/process/args", json!(["/missing/program"]));
    delegate.gets(&["create", "-b", &bundle.path.display().to_string(), &s.id("a")]).fails();
    assert!(delegate.verdict(&s.id("a")).is_none());
}

fn refused_delete(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let c = s.container("a", &s.bundle("b"));
    c.launch();
    delegate.gets(&["delete", &c.id]).fails();
    assert!(delegate.verdict(&c.id).is_some(), "a running container lost its verdict");
    delegate.gets(&["delete", "--force", &c.id]).ok();
}

fn broken(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let keys = |name, value| replaced(&SPT, name, value);
    let annotations = [
        keys("unikernelType", "toaster"),
        keys("unikernelType", "linux"),
        keys("hypervisor", "toaster"),
        keys("binary", "/missing"),
        SPT[..1].to_vec(),
        SPT[1..2].to_vec(),
    ];
    let annotated = |(n, keys): (usize, &Vec<_>)| s.bundle(&format!("b{n}")).annotations(keys);
    let mut bundles: Vec<Bundle> = annotations.iter().enumerate().map(annotated).collect();
    bundles.push(s.bundle("file").spt("hello").keys(&keys("binary", "/missing")));
    for bundle in bundles {
        for verb in ["create", "run"] {
            let bundle = bundle.path.display().to_string();
            s.run([verb, "--bundle", &bundle, &s.id("a")]).fails();
        }
    }
    assert!(delegate.calls().is_empty(), "{:?}", delegate.calls());
}

fn with_kernel(bundle: Bundle, path: &str, kernel: &[u8]) -> Bundle {
    let path = bundle.rootfs().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, kernel).unwrap();
    bundle
}

/// In both places; the plan says what was read from where.
fn keyless(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    for (name, path) in [("boot", ".boot/kernel"), ("catalogue", "unikraft/bin/kernel")] {
        let bundle = s.bundle(name);
        fs::remove_dir_all(bundle.rootfs()).unwrap();
        let bundle = with_kernel(bundle, path, &fs::read(guest("hello")).unwrap());
        let bundle = bundle.with("/process/args", json!(["hello", "there"]));
        let said = s.run(["plan", "-b", &bundle.path.display().to_string()]).ok().stdout;
        for notice in [
            format!("binary: /{path}, where image tools put it"),
            "unikernelType: solo5, by its ABI note".to_owned(),
            "hypervisor: spt, the only monitor that loads this kernel".to_owned(),
        ] {
            assert!(said.contains(&notice), "{notice}: {said}");
        }
        let outcome = s.container(name, &bundle).on_bundle("run", &[]).ok();
        let with_keys = s
            .container(
                "keys",
                &s.bundle(&format!("{name}-keys"))
                    .spt("hello")
                    .with("/process/args", json!(["hello", "there"])),
            )
            .on_bundle("run", &[])
            .ok();
        assert_eq!(outcome.stdout, with_keys.stdout);
    }
    assert!(delegate.calls().is_empty(), "{:?}", delegate.calls());
}

/// Nothing tells that this file is to be booted.
fn mute(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let bundle = with_kernel(s.bundle("b").script("echo hello"), ".boot/kernel", b"#!/bin/sh\n");
    let path = bundle.path.display().to_string();
    assert_eq!(delegate.gets(&["run", "--bundle", &path, &s.id("a")]).ok().stdout, "hello\n");
    // A link in circles is no kernel either.
    let kernel = bundle.rootfs().join(".boot/kernel");
    fs::remove_file(&kernel).unwrap();
    std::os::unix::fs::symlink("kernel", &kernel).unwrap();
    assert_eq!(delegate.gets(&["run", "--bundle", &path, &s.id("a")]).ok().stdout, "hello\n");
}

fn shared_root(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let c = s.container("a", &s.bundle("b"));
    s.run(["list", "-q"]).ok();
    let runc = |words: &[&str]| {
        let mut command = std::process::Command::new("runc");
        command.arg("--root").arg(s.root()).args(words);
        crate::command::run(&mut command, &s.dir.join("runc-itself"))
    };
    runc(&["create", "--bundle", &c.bundle.display().to_string(), &c.id]).ok();
    assert_eq!(delegate.gets(&["state", &c.id]).ok().json()["status"], "created");
    assert_eq!(s.run(["list", "-q"]).ok().stdout.trim(), c.id);
    delegate.gets(&["start", &c.id]).ok();
    // The id is taken, for both.
    s.container("a", &s.bundle("ours").spt("idle")).create().fails();
    delegate.gets(&["delete", "--force", &c.id]).ok();

    let ours = s.container("a", &s.bundle("ours").spt("idle"));
    ours.create().ok();
    runc(&["create", "--bundle", &c.bundle.display().to_string(), &c.id]).fails();
    ours.delete_force().ok();
}

fn list(s: &Sandbox) {
    let delegate = Delegate::new(s, "runc", "runc");
    let ours = s.container("z", &s.bundle("z").spt("idle"));
    ours.launch();
    let empty = s.run(["list", "--format", "json"]).ok().json();
    assert_eq!(empty.as_array().map(Vec::len), Some(1));
    let theirs = s.container("a", &s.bundle("a"));
    theirs.launch();
    assert_eq!(s.run(["list", "-q"]).ok().stdout, format!("{}\n{}\n", theirs.id, ours.id));
    let listed = s.run(["list", "--format", "json"]).ok().json();
    let statuses: Vec<_> = listed.as_array().unwrap().iter().map(|c| (&c["id"], &c["status"])).collect();
    assert_eq!(json!(statuses), json!([(&theirs.id, "running"), (&ours.id, "running")]));
    assert_eq!(s.run(["list"]).ok().stdout.lines().count(), 3);
    // A unikernel has no agent, whoever else is there.
    assert_eq!(s.run(["exec", &ours.id, "sh"]).code, 255);
    ours.delete_force().ok();
    delegate.gets(&["delete", "--force", &theirs.id]).ok();
}
