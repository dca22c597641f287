//! The ends of guests of other programs than QEMU, which the probe plays: what each of them tells, and no more.

use super::{ends, launched, until_taken};
use crate::bundle::Bundle;
use crate::command::until;
use crate::harness::Case;
use crate::image::{LINUX, replaced};
use crate::probe::played;
use crate::sandbox::{Sandbox, text};
use crate::virtio_guest;
use serde_json::json;
use std::fs;
use std::process::Stdio;

pub(super) const FIRECRACKER: &str = "firecracker";
pub(super) const CLOUD_HYPERVISOR: &str = "cloud-hypervisor";

/// Monitor, words of its guest (`tests/probe/src/vmm/guest.rs`), cause, status, detail.
type Row = (&'static str, &'static [&'static str], &'static str, i32, &'static str);

const OWN_RESET: &str = "the guest reset its machine, which ends it";
const INIT: &str = "process 1 of the guest ended";
const FAULT: &str = "a processor of the guest could not handle a fault";
const BROKEN: &str = "KVM internal error";
const FORBIDDEN: &str = "the monitor made a call that its filter forbids";

#[rustfmt::skip]
const ENDS: [Row; 31] = [
    (FIRECRACKER, &["ends:reset"], "reset", 0, OWN_RESET),
    (FIRECRACKER, &["says:panic", "ends:reset"], "panic", 255, "VFS: no root"),
    (FIRECRACKER, &["says:init:0", "ends:reset"], "exit", 0, INIT),
    (FIRECRACKER, &["says:init:1", "ends:reset"], "exit", 1, INIT),
    (FIRECRACKER, &["says:init:42", "ends:reset"], "exit", 42, INIT),
    (FIRECRACKER, &["says:restart", "ends:reset"], "reboot", 0, ""),
    (FIRECRACKER, &["ends:triple"], "triple-fault", 255, FAULT),
    (FIRECRACKER, &["says:init:0", "ends:triple"], "triple-fault", 255, FAULT),
    (FIRECRACKER, &["ends:broken"], "monitor", 1, BROKEN),
    (FIRECRACKER, &["ends:status:148"], "seccomp", 159, FORBIDDEN),
    (FIRECRACKER, &["ends:status:1"], "monitor", 1, ""),
    (FIRECRACKER, &["ends:signal:11"], "monitor", 139, "ended by a signal"),
    (CLOUD_HYPERVISOR, &["ends:off"], "power-off", 0, ""),
    (CLOUD_HYPERVISOR, &["says:panic", "ends:off"], "power-off", 0, ""),
    (CLOUD_HYPERVISOR, &["ends:reset"], "reset", 0, OWN_RESET),
    (CLOUD_HYPERVISOR, &["says:panic", "ends:reset"], "panic", 255, "VFS: no root"),
    (CLOUD_HYPERVISOR, &["says:init:42", "ends:reset"], "exit", 42, INIT),
    (CLOUD_HYPERVISOR, &["says:restart", "ends:reset"], "reboot", 0, ""),
    (CLOUD_HYPERVISOR, &["ends:panic"], "panic", 255, ""),
    (CLOUD_HYPERVISOR, &["ends:triple"], "triple-fault", 255, FAULT),
    (CLOUD_HYPERVISOR, &["ends:broken"], "monitor", 1, BROKEN),
    (CLOUD_HYPERVISOR, &["ends:status:0"], "monitor", 0, ""),
    (CLOUD_HYPERVISOR, &["ends:signal:11"], "monitor", 139, "ended by a signal"),
    (CLOUD_HYPERVISOR, &["events:half", "ends:off"], "power-off", 0, ""),
    (CLOUD_HYPERVISOR, &["events:others", "ends:off"], "power-off", 0, ""),
    (CLOUD_HYPERVISOR, &["events:endless", "ends:off"], "power-off", 0, ""),
    ("solo5-spt", &["ends:status:42"], "exit", 42, ""),
    ("solo5-spt", &["ends:signal:31"], "seccomp", 159, FORBIDDEN),
    ("solo5-hvt", &["ends:status:0"], "exit", 0, ""),
    ("solo5-hvt", &["ends:status:1"], "exit", 1, ""),
    ("solo5-hvt", &["warns", "ends:status:1"], "monitor", 1, "warning: of no use"),
];

/// How an API does not answer that the guest was asked.
const RUDE: [&str; 5] = ["refuses", "silent", "half", "garbage", "closes"];

pub(super) fn cases() -> Vec<Case> {
    let ends = ENDS.iter().map(|row| {
        let name = format!("{}-{}", row.0, row.1.join("-").replace(':', "-"));
        Case::new("exits", name, move |s: &Sandbox| end(s, row))
    });
    let vmms = [FIRECRACKER, CLOUD_HYPERVISOR].into_iter().flat_map(|vmm| {
        let rude = RUDE.into_iter().map(move |how| {
            Case::new("exits", format!("{vmm}-whose-api-{how}"), move |s: &Sandbox| rude(s, vmm, how))
        });
        rude.chain([
            Case::new("exits", format!("{vmm}-asks-its-guest-to-end"), move |s: &Sandbox| asked(s, vmm)),
            Case::new("exits", format!("{vmm}-whose-guest-does-not-mind"), move |s: &Sandbox| {
                unheard(s, vmm, "unheard");
            }),
            Case::new("exits", format!("{vmm}-whose-api-answers-without-end"), move |s: &Sandbox| {
                unheard(s, vmm, "endless");
            }),
            Case::new("exits", format!("{vmm}-whose-console-nobody-reads"), move |s: &Sandbox| {
                unread(s, vmm);
            }),
            Case::new("exits", format!("the-console-of-{vmm}-arrives-whole"), move |s: &Sandbox| {
                console(s, vmm);
            }),
        ])
    });
    ends.chain(vmms).collect()
}

/// A container whose monitor is the probe under that name, and its guest's words.
pub(super) fn bundle(s: &Sandbox, monitor: &str, words: &[&str]) -> Bundle {
    let kind = monitor.strip_prefix("solo5-").unwrap_or(monitor);
    let program = played(s, monitor);
    fs::write(&s.settings, format!("[monitors.{kind}]\npath = \"{}\"\n", program.display()))
        .expect("settings");
    let words: Vec<String> = words.iter().map(|word| format!("probe={word}")).collect();
    let words: Vec<&str> = std::iter::once("hang").chain(words.iter().map(String::as_str)).collect();
    match kind {
        "spt" => s.bundle("b").spt("idle").with("/process/args", json!(words)),
        "hvt" => s.bundle("b").hvt("idle").with("/process/args", json!(words)),
        vmm => virtio_guest::guest(s, &words).keys(&replaced(&LINUX, "hypervisor", vmm)),
    }
}

fn end(s: &Sandbox, (monitor, words, cause, status, detail): &Row) {
    let said = ends(&launched(s, &bundle(s, monitor, words)), (cause, *status));
    assert_eq!(said, *detail);
}

/// Firecracker has no other end than a reset.
fn asked(s: &Sandbox, vmm: &str) {
    let c = launched(s, &bundle(s, vmm, &[]));
    c.kill("TERM").ok();
    ends(&c, if vmm == FIRECRACKER { ("reset", 0) } else { ("power-off", 0) });
}

/// Who is not asked gets the signal, and ends by it: nobody has to kill it.
fn rude(s: &Sandbox, vmm: &str, how: &str) {
    let bundle = bundle(s, vmm, &[&format!("api:{how}")]);
    for (signal, number) in [("TERM", 15), ("RTMIN+3", 37)] {
        let c = launched(s, &bundle);
        c.kill(signal).ok();
        assert_eq!(ends(&c, ("stopped", 128 + number)), "");
    }
}

/// The time is the engine's: nothing but another signal ends it.
fn unheard(s: &Sandbox, vmm: &str, how: &str) {
    let c = launched(s, &bundle(s, vmm, &[&format!("api:{how}")]));
    let monitor = c.monitor();
    c.kill("TERM").ok();
    until_taken(&c);
    assert_eq!((c.status().as_str(), c.monitor()), ("running", monitor));
    c.kill("INT").ok();
    assert_eq!(ends(&c, ("stopped", 143)), "the monitor was killed");
}

/// Init hands it on: all of it, also what comes just before the end, in the order in which it was said.
fn console(s: &Sandbox, vmm: &str) {
    let bundle = bundle(s, vmm, &["says:lines", "ends:status:0"]);
    let c = s.container("a", &bundle);
    c.create().ok();
    let output = s.last_output().with_extension("out");
    c.start().ok();
    c.exit_code();
    let said = text(&output);
    let lines: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(lines.len(), 20_000, "{}", said.len());
    assert!(lines.iter().enumerate().all(|(number, line)| *line == format!("line {number}")));
    c.delete().ok();
}

/// Init waits for room without blocking, so that it hears a stop signal, and does not wait for ever at the end.
fn unread(s: &Sandbox, vmm: &str) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let c = s.container("a", &bundle(s, vmm, &["floods", "api:unheard"]));
    let (mut create, _) = s.command(["create", "--bundle"]);
    create.arg(&c.bundle).arg("--pid-file").arg(c.pid_file()).arg(&c.id);
    assert!(
        create.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).status().expect("urunc").success()
    );
    drop(create);
    c.start().ok();
    until("it is full", || rustix::io::ioctl_fionread(&reader).is_ok_and(|bytes| bytes > 60_000));
    c.kill("TERM").ok();
    until_taken(&c);
    assert_eq!(c.status(), "running");
    c.kill("INT").ok();
    ends(&c, ("stopped", 143));
}
