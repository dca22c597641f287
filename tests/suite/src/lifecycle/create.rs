//! `create` and `start`.

use super::Entry;
use crate::command::{self, until};
use crate::sandbox::{Sandbox, text};
use serde_json::json;

pub(super) const CASES: &[Entry] = &[
    ("create-without-id-fails", |s| {
        let bundle = s.bundle("b").path.display().to_string();
        s.run(["create", "--bundle", &bundle]).fails();
    }),
    ("create-with-a-used-id-fails-and-hurts-nobody", used_id),
    ("create-without-a-bundle-fails", |s| {
        let missing = s.dir.join("missing").display().to_string();
        s.run(["create", "--bundle", &missing, &s.id("a")]).fails();
        s.run(["state", &s.id("a")]).fails();
    }),
    ("create-takes-the-working-directory-as-bundle", working_directory),
    ("create-runs-nothing-before-start", nothing_before_start),
    ("create-writes-the-pid-file", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.create().ok();
        assert_eq!(i64::from(c.pid()), c.state()["pid"].as_i64().unwrap());
        assert!(!text(&c.pid_file()).contains('\n'), "runc writes no newline");
    }),
    ("create-accepts-no-pivot-and-no-new-keyring", |s| {
        let c = s.container("a", &s.bundle("b"));
        c.create_with(&["--no-pivot", "--no-new-keyring"]).ok();
        c.start().ok();
        assert_eq!(c.status(), "running");
    }),
    ("start-runs-the-process-of-create-time", frozen_config),
    ("start-of-an-unknown-container-fails", |s| {
        assert!(s.run(["start", &s.id("nobody")]).fails().contains("does not exist"));
    }),
    ("start-twice-fails-and-hurts-nobody", |s| {
        let c = s.container("a", &s.bundle("b").stoppable(0));
        c.launch();
        c.start().fails();
        assert_eq!(c.status(), "running");
    }),
    ("start-of-a-stopped-container-fails", |s| {
        let c = s.container("a", &s.bundle("b").busybox(&["true"]));
        c.launch();
        c.until_stopped();
        c.start().fails();
        assert_eq!(c.status(), "stopped");
    }),
    ("start-without-process-fails", |s| {
        let mut bundle = s.bundle("b");
        bundle.config.as_object_mut().unwrap().remove("process");
        bundle.write();
        let c = s.container("a", &bundle);
        // Whether create refuses already is the runtime's choice.
        if c.create().code == 0 {
            c.start().fails();
        }
    }),
    ("start-of-a-missing-program-names-it", |s| {
        let c = s.container("a", &s.bundle("b").with("/process/args", json!(["/bin/not-there"])));
        let created = c.create();
        let error = if created.code == 0 { c.start().fails() } else { created.fails() };
        assert!(error.contains("/bin/not-there"), "{error}");
    }),
    ("unknown-annotations-and-properties-are-accepted", |s| {
        let bundle = s.bundle("b").with("/annotations", json!({"org.example.unknown": "value", "x": ""}));
        let c = s.container("a", &bundle.with("/unknownProperty", json!({"deep": [1, null]})));
        c.launch();
        assert_eq!(c.state()["annotations"]["org.example.unknown"], "value");
    }),
    ("process-gets-arguments-environment-and-directory", process_fields),
    ("extra-descriptors-are-preserved-on-request", preserved_descriptors),
    ("extra-descriptors-are-closed-otherwise", |s| {
        let out =
            with_descriptor_three(s, "if ( : <&3 ) 2>/dev/null; then echo open; else echo closed; fi", &[]);
        assert_eq!(out, "closed\n");
    }),
];

fn used_id(s: &Sandbox) {
    let c = s.container("a", &s.bundle("b").stoppable(0));
    c.launch();
    let pid = c.pid();
    s.run(["create", "--bundle", &s.bundle("other").path.display().to_string(), &c.id]).fails();
    assert_eq!(c.status(), "running");
    assert_eq!(c.state()["pid"].as_i64(), Some(i64::from(pid)));
}

fn working_directory(s: &Sandbox) {
    let bundle = s.bundle("b");
    let (mut command, output) = s.command(["create", &s.id("a")]);
    command::run(command.current_dir(&bundle.path), &output).ok();
    assert_eq!(s.container("a", &bundle).state()["bundle"], bundle.path.display().to_string());
}

fn nothing_before_start(s: &Sandbox) {
    let bundle = s.bundle("b").script("echo ran > /witness");
    let witness = bundle.rootfs().join("witness");
    let c = s.container("a", &bundle);
    c.create().ok();
    assert_eq!(c.status(), "created");
    assert!(!witness.exists());
    c.start().ok();
    c.until_stopped();
    assert_eq!(text(&witness), "ran\n");
}

fn frozen_config(s: &Sandbox) {
    let bundle = s.bundle("b").script("echo old > /witness");
    let c = s.container("a", &bundle);
    c.create().ok();
    let bundle = bundle.script("echo new > /witness").with("/hostname", json!("changed"));
    c.start().ok();
    c.until_stopped();
    assert_eq!(text(&bundle.rootfs().join("witness")), "old\n");
}

fn process_fields(s: &Sandbox) {
    let bundle = s
        .bundle("b")
        .busybox(&[
            "sh",
            "-c",
            "printf '%s|' \"$@\" \"$GREETING\" \"$PWD\" $(id -u) $(id -g) $(umask)",
            "sh",
            "a b",
            "",
            "c=\"d\"",
        ])
        .with("/process/env", json!(["PATH=/bin", "GREETING=x  y=z"]))
        .with("/process/cwd", json!("/tmp"))
        .with("/process/user", json!({"uid": 1000, "gid": 2000, "umask": 0o77}));
    for applet in ["id", "printf"] {
        std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin").join(applet)).unwrap();
    }
    let c = s.container("a", &bundle);
    c.launch();
    let output = s.dir.join("command-0.out");
    until("the process printed", || !text(&output).is_empty());
    assert_eq!(text(&output), "a b||c=\"d\"|x  y=z|/tmp|1000|2000|0077|");
}

/// Runs `script` in a container whose `create` has a file with the text `handed over` at descriptor 3.
fn with_descriptor_three(s: &Sandbox, script: &str, options: &[&str]) -> String {
    let handed = s.dir.join("handed");
    std::fs::write(&handed, "handed over\n").unwrap();
    let c = s.container("a", &s.bundle("b").script(script));
    let bundle = c.bundle.display().to_string();
    let mut words = vec!["create", "--bundle", &bundle];
    words.extend(options);
    words.push(&c.id);
    let (inner, output) = s.command(words);
    let mut shell = std::process::Command::new("/bin/sh");
    shell
        .args(["-c", "exec 3<\"$0\"; exec \"$@\""])
        .arg(handed)
        .arg(inner.get_program())
        .args(inner.get_args());
    shell.envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command::run(&mut shell, &output).ok();
    c.start().ok();
    c.until_stopped();
    text(&output.with_extension("out"))
}

fn preserved_descriptors(s: &Sandbox) {
    assert_eq!(
        with_descriptor_three(s, "read line <&3; echo $line", &["--preserve-fds", "1"]),
        "handed over\n"
    );
}
