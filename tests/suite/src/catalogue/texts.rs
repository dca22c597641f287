//! B: texts of the image or the pod on their way into an argv or a guest's command line.

use super::{Entry, monitor_for_all, nothing_left};
use crate::bad_input::{one_line, refused};
use crate::bundle::Bundle;
use crate::command::until;
use crate::harness::Case;
use crate::image::{LINUX, bzimage, replaced};
use crate::sandbox::{Sandbox, text};
use serde_json::{Value, json};
use std::fs;

/// All cases of this file.
pub(super) fn cases() -> Vec<Case> {
    super::named(CASES)
}

const CASES: &[Entry] = &[
    ("b-01-text-that-looks-like-options", options_in_text),
    ("b-05-smuggling-into-the-guest-command-line", command_line),
];

/// What a shell, a comma-separated option or a line-based format would take apart.
fn payloads() -> Vec<String> {
    let short = [
        " -drive file=/canary",
        "a\nb",
        "a\0b",
        "a\"b",
        "a'b",
        "a,b",
        "a,,b",
        "a=b",
        "--",
        "-",
        "é☃",
        "%s$(id)`id`;id|id",
    ];
    short.into_iter().map(str::to_owned).chain(["x".repeat(64 << 10)]).collect()
}

/// Puts a text into one place of a Linux bundle.
type Place = (&'static str, fn(Bundle, &str) -> Bundle);

fn key(bundle: Bundle, name: &'static str, value: &str) -> Bundle {
    bundle.keys(&replaced(&LINUX, name, value))
}

/// The image has a file of that name, if a file can have it.
fn file_key(bundle: Bundle, name: &'static str, value: &str) -> Bundle {
    let value = format!("/boot-{value}");
    let _ = fs::write(bundle.rootfs().join(value.trim_start_matches('/')), bzimage());
    key(bundle, name, &value)
}

const PLACES: &[Place] = &[
    ("process.args", |b, text| b.with("/process/args", json!(["/app", text]))),
    ("the program", |b, text| b.with("/process/args", json!([text]))),
    ("a variable's value", |b, text| b.with("/process/env", json!([format!("A={text}")]))),
    ("a variable's name", |b, text| b.with("/process/env", json!([format!("{text}=a")]))),
    ("process.cwd", |b, text| b.with("/process/cwd", json!(format!("/{text}")))),
    ("hostname", |b, text| b.with("/hostname", json!(text))),
    ("unikernelType", |b, text| key(b, "unikernelType", text)),
    ("unikernelVersion", |b, text| key(b, "unikernelVersion", text)),
    ("hypervisor", |b, text| key(b, "hypervisor", text)),
    ("cmdline", |b, text| key(b, "cmdline", text)),
    ("blkMntPoint", |b, text| key(b, "blkMntPoint", text)),
    ("solo5NetDev", |b, text| key(b, "solo5NetDev", text)),
    ("solo5BlkDev", |b, text| key(b, "solo5BlkDev", text)),
    ("binary", |b, text| file_key(b, "binary", text)),
    ("initrd", |b, text| file_key(b, "initrd", text)),
    ("block", |b, text| file_key(b, "block", text)),
];

/// The argv that the monitor got; `None` if the bundle was refused in words.
fn argv(s: &Sandbox, bundle: &Bundle) -> Option<Vec<String>> {
    let c = s.container("a", bundle);
    let created = c.create();
    if created.code != 0 {
        refused(s, &created, "");
        return None;
    }
    let output = s.last_output().with_extension("out");
    let started = c.start();
    if started.code != 0 {
        one_line(s, &started, "");
        c.delete_force().ok();
        return None;
    }
    until("the monitor reports", || text(&output).contains('\n'));
    let said = text(&output);
    let report: Value = serde_json::from_str(said.lines().next().unwrap_or_default()).expect("a report");
    c.delete_force().ok();
    Some(serde_json::from_value(report["argv"].clone()).expect("argv"))
}

/// Whatever a text is, the monitor gets as many words as with an ordinary one, and at most one is another.
fn options_in_text(s: &Sandbox) {
    monitor_for_all(s);
    let mut lives = 0;
    for (number, (name, put)) in PLACES.iter().enumerate() {
        let plain = put(s.bundle(&format!("plain-{number}")).linux(), "plain");
        let usual = argv(s, &plain).or_else(|| argv(s, &s.bundle(&format!("default-{number}")).linux()));
        let usual = usual.expect("an ordinary life");
        for (n, payload) in payloads().iter().enumerate() {
            let bundle = put(s.bundle(&format!("p-{number}-{n}")).linux(), payload);
            let Some(argv) = argv(s, &bundle) else { continue };
            lives += 1;
            assert_eq!(argv.len(), usual.len(), "{name}: {payload:?}: {argv:#?}");
            let other: Vec<_> = argv.iter().zip(&usual).filter(|(seen, usual)| seen != usual).collect();
            assert!(other.len() <= 1, "{name}: {payload:?}: {other:#?}");
        }
        nothing_left(s);
    }
    assert!(lives >= 40, "{lives} of the texts reached a monitor");
}

/// Variables that would be parameters of the kernel if they could.
fn command_line(s: &Sandbox) {
    monitor_for_all(s);
    let many: Vec<String> = (0..4_000).map(|n| format!("V{n}=x")).collect();
    let strings = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let tries = [
        strings(&["A=1 init=/bin/sh"]),
        strings(&["A=x\t-- rdinit=/bin/sh"]),
        strings(&["A=\"x", "B=y\" init=/bin/sh"]),
        strings(&["A\ninit=/bin/sh"]),
        strings(&["A init=/bin/sh"]),
        strings(&["init=/bin/sh"]),
        strings(&["rdinit=/bin/sh"]),
        strings(&["INIT=/bin/sh", "panic=5"]),
        strings(&["console=tty0"]),
        strings(&["--=x"]),
        strings(&["A=\u{a0}init=/bin/sh"]),
        vec![format!("A={}", "x".repeat(2048))],
        many,
    ];
    let line = |bundle: &Bundle| {
        let argv = argv(s, bundle)?;
        let at = argv.iter().position(|word| word == "-append").expect("-append");
        Some(argv[at + 1].clone())
    };
    let plain = s.bundle("plain").linux().with("/process/env", json!([]));
    let fixed = parameters(&line(&plain).expect("a life"));
    let mut lives = 0;
    for (number, env) in tries.iter().enumerate() {
        let bundle = s.bundle(&format!("try-{number}")).linux().with("/process/env", json!(env));
        let Some(line) = line(&bundle) else { continue };
        lives += 1;
        let names: Vec<String> =
            env.iter().filter_map(|entry| Some(entry.split_once('=')?.0.to_owned())).collect();
        let mut seen = parameters(&line);
        seen.retain(|word| !names.iter().any(|name| word.starts_with(&format!("{name}="))));
        assert_eq!(seen, fixed, "{line}");
    }
    assert!(lives >= 2, "{lives}");
    assert!(lives < tries.len(), "nothing was refused");
}

/// Words before `--` as the kernel's `next_arg` reads them: blanks separate, double quotes group.
fn parameters(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for char in line.chars().chain([' ']) {
        match char {
            '"' => quoted = !quoted,
            ' ' | '\t' | '\n' | '\u{a0}' if !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty()));
            }
            other => word.push(other),
        }
    }
    words.into_iter().take_while(|word| word != "--").collect()
}
