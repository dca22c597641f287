//! The group `exits`: how a guest ended is the same in `state`, in the exit status of the container's process and in the
//! log; and a stop is in time.

mod port;
mod stops;
mod vmm;

use crate::bundle::Bundle;
use crate::command::until;
use crate::container::Container;
use crate::harness::Case;
use crate::image::{CODE, LINUX, running};
use crate::net_linux;
use crate::probe::linux_on_probe;
use crate::sandbox::{Sandbox, text};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;

const MIB: u64 = 1 << 20;
/// Most that init may hold beside a monitor, KiB: of memory that no file stands behind, and with its program's constants.
const SMALL: u64 = 32;
const SMALL_IN_ALL: u64 = 100;
/// `hlt` for ever.
const HALT: [u8; 3] = [0xf4, 0xeb, 0xfd];
/// SLP_EN of PM1_CNT: S5.
const POWER_OFF: [u8; 10] = [0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef];
/// PWRBTN_EN of PM1_EN.
const LISTEN: [u8; 10] = [0x66, 0xba, 0x02, 0x06, 0x66, 0xb8, 0x00, 0x01, 0x66, 0xef];
/// Until PWRBTN_STS of PM1_STS is set.
const WAIT: [u8; 12] = [0x66, 0xba, 0x00, 0x06, 0x66, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xf9, 0x90];
/// `!` on the first serial line.
const SAY: [u8; 7] = [0x66, 0xba, 0xf8, 0x03, 0xb0, b'!', 0xee];
/// The port of pvpanic.
const PANIC: [u8; 7] = [0x66, 0xba, 0x05, 0x05, 0xb0, 0x01, 0xee];
/// Pulse of the reset line by the keyboard controller.
const RESET: [u8; 4] = [0xb0, 0xfe, 0xe6, 0x64];

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let case = |name: &'static str, run: fn(&Sandbox)| Case::new("exits", name, run);
    let mut cases = vec![
        case("a-machine-that-powers-off", |s| code(s, &POWER_OFF, ("power-off", 0))),
        case("a-guest-that-says-it-panicked", |s| code(s, &PANIC, ("panic", 255))),
        case("a-triple-fault", |s| code(s, &triple_fault(), ("reset", 255))),
        case("a-reset", |s| code(s, &RESET, ("reset", 255))),
        case("linux-panics", |s| linux(s, &["/nonexistent"], ("panic", 255))),
        case("linux-restarts", |s| linux(s, &["/bin/reboot", "-f"], ("reboot", 0))),
        case("linux-powers-off", |s| linux(s, &["/bin/poweroff", "-f"], ("power-off", 0))),
        case("a-monitor-that-is-killed-for-its-memory", out_of_memory),
        case("a-monitor-that-makes-a-forbidden-call", |s| probe(s, &["probe=forbidden"], ("seccomp", 159))),
        case("a-monitor-that-crashes", |s| probe(s, &["probe=signal:11"], ("monitor", 139))),
        case("a-monitor-that-lies-and-crashes", |s| {
            probe(s, &["probe=event:SHUTDOWN,guest-shutdown", "probe=signal:11"], ("monitor", 139));
        }),
        case("a-real-monitor-that-is-shot", shot),
        case("stop-signals-of-all-kinds", every_signal),
        case("a-guest-with-a-power-button", power_button),
        case("linux-with-a-power-button", linux_power_button),
        case("a-guest-that-does-not-mind-its-power-button", second_signal),
        case("a-monitor-that-minds-no-signal", deaf_monitor),
        case("init-beside-a-monitor-is-small-and-holds-nothing", small),
        case("init-that-hands-a-console-on-is-small", small_with_console),
        case("init-with-its-constants-is-small", small_in_all),
    ];
    cases.extend(port::cases());
    cases.extend(vmm::cases());
    cases.extend(stops::cases());
    for status in [0, 1, 42] {
        let linux_name = format!("status-{status}-of-linux-process-1");
        let script = format!("exit {status}");
        cases.push(Case::new("exits", linux_name, move |s| {
            linux(s, &["/bin/busybox", "sh", "-c", &script], ("exit", status));
        }));
        cases.push(Case::new("exits", format!("status-{status}-of-a-solo5-guest"), move |s| {
            let bundle = s.bundle("b").spt("exit").with("/process/args", json!([status.to_string()]));
            ends(&launched(s, &bundle), ("exit", status));
        }));
    }
    cases
}

fn triple_fault() -> Vec<u8> {
    // lidt of the zeros behind the code, int3.
    let zeros = (CODE + 64).to_le_bytes();
    [&[0x0f, 0x01, 0x1d][..], &zeros, &[0xcc]].concat()
}

fn launched<'a>(s: &'a Sandbox, bundle: &Bundle) -> Container<'a> {
    let c = s.container("a", bundle);
    c.launch();
    c
}

/// All three agree about the end, of which `state` tells this detail.
pub(crate) fn ends(c: &Container<'_>, (cause, status): (&str, i32)) -> String {
    c.until_stopped();
    let state = c.state();
    let said = |name: &str| state["annotations"][format!("com.urunc.state.exit.{name}")].clone();
    assert_eq!((said("cause"), said("status")), (json!(cause), json!(status.to_string())), "{state}");
    c.delete().ok();
    let log = c.sandbox.log().join("");
    assert!(log.contains(&format!("ended: {cause}, status {status}")), "{log}");
    assert_eq!(c.exit_code(), status);
    said("detail").as_str().unwrap_or_default().to_owned()
}

/// A guest that is this code.
fn guest(s: &Sandbox, code: &[u8]) -> Bundle {
    s.bundle("b").unikernel(&running(&[code, &HALT].concat()), &LINUX)
}

fn code(s: &Sandbox, code: &[u8], end: (&str, i32)) {
    ends(&launched(s, &guest(s, code)), end);
}

/// Debian's kernel, with these words as its process 1.
fn debian(s: &Sandbox, words: &[&str]) -> Bundle {
    let bundle = s.bundle("b").unikernel(&[], &net_linux::KEYS);
    for name in ["vmlinuz", "initrd"] {
        fs::copy(net_linux::image().join(name), bundle.rootfs().join(name)).expect("a file of the image");
    }
    let bundle = bundle.with("/linux/resources/memory", json!({"limit": 256 * MIB}));
    bundle.with("/process/args", json!(words))
}

fn linux(s: &Sandbox, words: &[&str], end: (&str, i32)) {
    let c = launched(s, &debian(s, words));
    let output = s.dir.join("command-0.out");
    crate::command::until_patiently("linux ends", || c.status() == "stopped");
    assert!(text(&output).contains("Linux version"), "{}", text(&output));
    ends(&c, end);
}

fn probe(s: &Sandbox, words: &[&str], end: (&str, i32)) {
    let bundle = linux_on_probe(s, &[&["probe=quiet", "probe=greet"], words].concat());
    ends(&launched(s, &bundle), end);
}

fn out_of_memory(s: &Sandbox) {
    let bundle = linux_on_probe(s, &["probe=quiet", "probe=greet", "probe=fill"]);
    let memory = json!({"limit": 160 * MIB, "swap": 160 * MIB});
    ends(&launched(s, &bundle.with("/linux/resources/memory", memory)), ("oom", 137));
}

fn shot(s: &Sandbox) {
    let c = launched(s, &guest(s, &[]));
    kill_process(Pid::from_raw(c.monitor()).expect("a pid"), Signal::SEGV).expect("a monitor");
    ends(&c, ("monitor", 139));
}

/// QEMU itself would ignore some of them.
fn every_signal(s: &Sandbox) {
    for (name, number) in [("TERM", 15), ("INT", 2), ("QUIT", 3), ("HUP", 1), ("USR1", 10), ("RTMIN+3", 37)] {
        let c = launched(s, &guest(s, &[]));
        // These end no process.
        for harmless in ["WINCH", "CHLD", "CONT", "URG"] {
            c.kill(harmless).ok();
        }
        assert_eq!(c.status(), "running");
        c.kill(name).ok();
        ends(&c, ("stopped", 128 + number));
        fs::remove_dir_all(&c.bundle).expect("bundle");
    }
}

/// Nobody but the guest ends it.
fn power_button(s: &Sandbox) {
    let c = launched(s, &guest(s, &[&LISTEN[..], &SAY, &WAIT, &POWER_OFF].concat()));
    until("the guest listens", || text(&s.dir.join("command-0.out")).contains('!'));
    c.kill("TERM").ok();
    ends(&c, ("power-off", 0));
}

/// Debian's kernel tells who listens: its own init, who ends it in order.
fn linux_power_button(s: &Sandbox) {
    let c = launched(s, &debian(s, &["/app", "button"]));
    let output = s.dir.join("command-0.out");
    crate::command::until_patiently("linux listens", || text(&output).contains("app: listening"));
    c.kill("TERM").ok();
    crate::command::until_patiently("linux ends", || c.status() == "stopped");
    assert!(text(&output).contains("app: power button"), "{}", text(&output));
    ends(&c, ("power-off", 0));
}

/// Init has taken every signal that was sent: of several it would take the one with the lowest number first.
pub(crate) fn until_taken(c: &Container<'_>) {
    let status = format!("/proc/{}/status", c.pid());
    until("init has taken the signal", || text(status.as_ref()).contains("ShdPnd:\t0000000000000000\n"));
}

fn second_signal(s: &Sandbox) {
    let c = launched(s, &guest(s, &[&LISTEN[..], &SAY].concat()));
    until("the guest listens", || text(&s.dir.join("command-0.out")).contains('!'));
    c.kill("TERM").ok();
    // The time is the engine's: nothing but another signal ends it.
    let monitor = c.monitor();
    until_taken(&c);
    assert_eq!((c.status().as_str(), c.monitor()), ("running", monitor));
    c.kill("INT").ok();
    ends(&c, ("stopped", 143));
}

/// SIGTERM first, which it never gets; then SIGKILL.
fn deaf_monitor(s: &Sandbox) {
    let c = launched(s, &linux_on_probe(s, &["probe=quiet", "probe=greet", "probe=deaf"]));
    c.kill("TERM").ok();
    assert_eq!(ends(&c, ("stopped", 143)), "the monitor was killed");
}

/// A guest that has spoken, whose monitor is nobody's.
fn talking(s: &Sandbox) -> Container<'_> {
    let c = launched(s, &guest(s, &SAY).with("/process/user", json!({"uid": 1000, "gid": 1000})));
    until("the guest runs", || text(&s.dir.join("command-0.out")).contains('!'));
    c
}

fn small(s: &Sandbox) {
    let c = talking(s);
    // QMP and the console's copy; signals and the monitor.
    holds(&c, [3, 1, 1, 2, 0]);
    c.delete_force().ok();
}

/// It has the container's output and the monitor's log besides, and a socket for the API.
fn small_with_console(s: &Sandbox) {
    let bundle = vmm::bundle(s, vmm::FIRECRACKER, &["says:lines"]);
    let c = launched(s, &bundle.with("/process/user", json!({"uid": 1000, "gid": 1000})));
    until("all is handed on", || text(&s.dir.join("command-0.out")).ends_with("line 19999\n"));
    holds(&c, [3, 2, 1, 2, 2]);
    holds_in_all(&c);
    c.delete_force().ok();
}

/// The bound with the program's constants; those of a build that is not for release are too large by themselves.
fn small_in_all(s: &Sandbox) {
    let c = talking(s);
    holds_in_all(&c);
    c.delete_force().ok();
}

/// A file of `/proc/PID` of init, which is the container's process.
fn of_init(c: &Container<'_>, name: &str) -> String {
    text(std::path::Path::new(&format!("/proc/{}/{name}", c.pid())))
}

fn holds_in_all(c: &Container<'_>) {
    let rollup = of_init(c, "smaps_rollup");
    let size = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("proc(5)");
    let kibibytes: u64 = size.trim_end_matches(" kB").trim().parse().expect("a size");
    assert!(kibibytes <= SMALL_IN_ALL, "{kibibytes} KiB:\n{}", of_init(c, "smaps"));
}

/// KiB in memory that no file stands behind (proc(5), `smaps`).
fn kept(smaps: &str) -> u64 {
    let mut is_kept = false;
    let mut sum = 0;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["Anonymous:", size, _] if is_kept => sum += size.parse::<u64>().expect("a size"),
            [range, _, _, _, inode, ..] if range.contains('-') => is_kept = inode == "0",
            _ => {}
        }
    }
    sum
}

/// Init is small, confined and nobody's, and holds so many of these: null, sockets, pipes, anonymous, the container's files;
/// and the record and the counter of kills.
fn holds(c: &Container<'_>, [nulls, sockets, pipes, anonymous, files]: [usize; 5]) {
    let proc = |name: &str| of_init(c, name);
    let field = |file: &str, name: &str| {
        let text = proc(file);
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches(':').trim().to_owned()
    };
    let smaps = proc("smaps");
    let kibibytes = kept(&smaps);
    assert!(kibibytes <= SMALL, "{kibibytes} KiB:\n{smaps}");
    assert_eq!((field("status", "Seccomp"), field("status", "NoNewPrivs")), ("2".into(), "1".into()));
    assert_eq!((field("status", "CapEff"), field("status", "Threads")), ("0".repeat(16), "1".into()));
    assert!(proc("environ").is_empty() && proc("cmdline").is_empty());
    // What cannot be dumped is root's, whatever its uid.
    let owner = fs::metadata(format!("/proc/{}/environ", c.pid())).expect("a process").uid();
    assert_eq!((owner, field("status", "Uid").as_str()), (0, "1000\t1000\t1000\t1000"));
    let open = fs::read_dir(format!("/proc/{}/fd", c.pid())).expect("descriptors").flatten();
    let mut open: Vec<String> =
        open.map(|fd| fs::read_link(fd.path()).expect("a link").to_string_lossy().into_owned()).collect();
    open.sort();
    let kinds: Vec<&str> = open.iter().map(|link| link.rsplit('/').next().unwrap_or_default()).collect();
    let kind = |wanted: &str| kinds.iter().filter(|kind| kind.starts_with(wanted)).count();
    assert_eq!([kind("null"), kind("socket:"), kind("pipe:")], [nulls, sockets, pipes], "{open:?}");
    assert_eq!([kind("anon_inode:"), kind("exit.json"), kind("memory.")], [anonymous, 1, 1], "{open:?}");
    assert_eq!(kind("log") + kind("command-0.out"), files, "{open:?}");
    assert_eq!(open.len(), nulls + sockets + pipes + anonymous + files + 2, "{open:?}");
}
