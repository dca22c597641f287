//! Own guests on the built-in hvt monitor, whole lives: what they print and end with, how they are stopped, what their
//! process is, and what a guest that does what no guest should gets. `/dev/kvm` may be one that only emulates.

use crate::bundle::Bundle;
use crate::chaos::Random;
use crate::command::{Outcome, until};
use crate::container::Container;
use crate::harness::Case;
use crate::image::{HVT, hvt_guest};
use crate::kernel_log::KernelLog;
use crate::memory::writes_all;
use crate::reality::network::Network;
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs;

const GROUP: &str = "hvt-guest";
/// What a guest may lack of its memory limit, MiB.
const OVERHEAD: u64 = 6;
const DISK: usize = 1 << 16;
/// Random hypercalls that are answered, and lives that end with one that is not.
const CALLS: u64 = 20_000;
const FORBIDDEN: u64 = 100;

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn(&Sandbox)| Case::new(GROUP, name, run);
    let mut cases = vec![
        case("a-guest-ends-with-its-own-code", codes),
        case("a-guest-that-faults-ends-in-words", faults_in_words),
        case("signals-end-the-first-process-20-times-each", stops),
        case("a-disk-is-read-and-written", disk),
        case("a-read-only-disk-stays-as-it-is", read_only_disk),
        case("the-process-has-an-empty-root-and-its-descriptors", process),
        case("every-fault-ends-with-a-documented-code", every_fault),
        case("random-hypercalls-are-answered", random_calls),
    ];
    cases.extend([32, 64].map(|limit| {
        let name = format!("a-guest-writes-all-its-memory-in-{limit}-mebibytes");
        Case::new(GROUP, name, move |s| writes_all(s, &s.bundle("b").hvt("memory"), (limit, OVERHEAD)))
    }));
    cases
}

fn codes(s: &Sandbox) {
    for code in [0, 42, 255] {
        let c = s.container("a", &s.bundle("b").hvt("exit").with("/process/args", json!([code.to_string()])));
        c.create().ok();
        let output = s.last_output().with_extension("out");
        c.start().ok();
        assert_eq!(c.exit_code(), code);
        assert_eq!(text(&output), format!("exit {code}\n"));
        c.until_stopped();
        c.delete().ok();
        fs::remove_dir_all(&c.bundle).expect("bundle");
    }
    let bundle = s.bundle("b").hvt("hello").with("/process/args", json!(["a", "b c"]));
    // The second time no key says what it is: the kernel does.
    for keys in ["given", "gone"] {
        let said = s.container(keys, &bundle).on_bundle("run", &[]).ok().stdout;
        assert_eq!(said, "hello from a solo5 guest\ncmdline: <a b c>\n", "keys are {keys}");
        fs::remove_file(bundle.rootfs().join("urunc.json")).ok();
    }
}

fn faults_in_words(s: &Sandbox) {
    for (name, causes) in [
        ("segv", &["triple fault"][..]),
        ("write-text", &["forbidden write to address 0x100", "host/guest translation fault"]),
    ] {
        let outcome = s.container("a", &s.bundle(name).hvt(name)).on_bundle("run", &[]);
        let line =
            outcome.stderr.lines().find_map(|line| line.strip_prefix("solo5-hvt: ")).unwrap_or_default();
        assert!(outcome.code == 1 && causes.iter().any(|cause| line.starts_with(cause)), "{outcome:?}");
    }
}

/// Waiting and busy, as the first process of its pid namespace.
fn stops(s: &Sandbox) {
    let (idle, busy) = (s.bundle("idle").hvt("idle"), s.bundle("busy").hvt("flood"));
    for round in 0..20 {
        let (signal, number) = [("TERM", 15), ("INT", 2), ("QUIT", 3), ("USR1", 10)][round % 4];
        for bundle in [&idle, &busy] {
            let c = s.container("a", bundle);
            c.launch();
            assert!(c.status_field("NSpid").ends_with(" 1"));
            c.kill(signal).ok();
            assert_eq!(c.exit_code(), 128 + number, "{signal}");
            c.delete().ok();
        }
    }
}

fn with_disk(bundle: Bundle, name: &str) -> Bundle {
    let mut keys = HVT.to_vec();
    keys.push(("block", "/disk"));
    let bundle = bundle.unikernel(&fs::read(hvt_guest(name)).expect("guest"), &keys);
    fs::write(bundle.rootfs().join("disk"), vec![0; DISK]).expect("disk");
    bundle
}

fn disk(s: &Sandbox) {
    let bundle = with_disk(s.bundle("b"), "block");
    let said = s.container("a", &bundle).on_bundle("run", &[]).ok().stdout;
    assert!(said.ends_with("block ok\n"), "{said}");
    let content = fs::read(bundle.rootfs().join("disk")).expect("disk");
    let sector = |at: usize| (content[at], content[at + 511]);
    assert_eq!((content.len(), sector(0), sector(DISK - 512)), (DISK, (0xa5, 0xa5), (0x5a, 0x5a)));
}

fn read_only_disk(s: &Sandbox) {
    let bundle = with_disk(s.bundle("b"), "block").with("/root/readonly", json!(true));
    let outcome = s.container("a", &bundle).on_bundle("run", &[]);
    assert!(outcome.code == 2 && outcome.stdout.contains("read-only at 0"), "{outcome:?}");
    assert_eq!(fs::read(bundle.rootfs().join("disk")).expect("disk"), vec![0; DISK]);
}

/// Nothing to open, nothing to open it with: neither program nor device can be reached through /proc or /dev.
pub(crate) fn is_alone(c: &Container<'_>) {
    let root = format!("/proc/{}/root", c.pid());
    assert_eq!(fs::read_dir(root).expect("root").count(), 0);
    let mounts = c.proc("mountinfo");
    assert!(!mounts.contains(" - proc ") && !mounts.contains("devtmpfs"), "{mounts}");
    assert_eq!((c.status_field("Seccomp").as_str(), c.status_field("NoNewPrivs").as_str()), ("2", "1"));
    assert_eq!(c.status_field("CapPrm"), "0000000000000000");
    let fds = fs::read_dir(format!("/proc/{}/fd", c.pid())).expect("descriptors").map(Result::unwrap);
    let mut fds: Vec<String> = fds
        .filter(|fd| fd.file_name().to_str().is_some_and(|name| name.parse::<i32>().is_ok_and(|fd| fd > 2)))
        .map(|fd| fs::read_link(fd.path()).expect("a link").display().to_string())
        .collect();
    fds.sort();
    assert_eq!(fds, ["anon_inode:[eventpoll]", "anon_inode:[timerfd]", "anon_inode:kvm-vcpu:0"]);
}

fn process(s: &Sandbox) {
    let c =
        s.container("a", &s.bundle("b").hvt("idle").with("/process/user", json!({"uid": 1000, "gid": 1000})));
    c.launch();
    until("the guest idles", || text(&s.dir.join("command-0.out")).contains("idle"));
    assert_eq!((c.proc("comm").as_str(), c.proc("cmdline").as_str()), ("solo5-hvt\n", "solo5-hvt\0hello\0"));
    assert_eq!(c.status_field("Uid"), "1000 1000 1000 1000");
    is_alone(&c);
    let plan = s.run(["plan", "--json", &c.id]).ok().json();
    assert_eq!(plan["exec"]["tender"]["target"]["value"], "hvt");
    assert_eq!(c.state()["annotations"]["com.urunc.state.acceleration"], "kvm");
    c.delete_force().ok();
}

/// Lives of guests that do what no guest should; nothing happens in the kernel's log.
fn quiet(lives: impl FnOnce()) {
    let mut log = KernelLog::open();
    lives();
    let alarms = log.alarms();
    assert!(alarms.is_empty(), "{alarms:#?}");
}

/// In a machine of its own a guest has all instructions. What is no exception does nothing; what is one ends it, as it
/// handles none.
fn every_fault(s: &Sandbox) {
    let bundle = s.bundle("b").hvt("faults").with("/linux/resources/memory", json!({"limit": 12 << 20}));
    let c = s.container("a", &bundle);
    let life = |name: &str| {
        let _ = bundle.clone().with("/process/args", json!([name]));
        c.on_bundle("run", &[])
    };
    quiet(|| {
        let names = life("names").ok().stdout;
        assert!(names.lines().count() > 90, "{names}");
        for name in names.lines() {
            let outcome = life(name);
            let said = outcome.stderr.trim_end();
            let ended = outcome.code == 1 && said.starts_with("solo5-hvt: ") && !said.contains('\n');
            let survived = outcome.code == 0 && said.is_empty();
            assert!(outcome.stdout.is_empty() && (ended || survived), "{name}: {outcome:?}");
            let harmless = ["nothing", "cli", "sti", "read-cr0", "cpuid", "rdtsc", "data-segment-0"];
            assert!(survived || !harmless.contains(&name), "{name}: {outcome:?}");
            let deadly = ["read-0", "read-the-end", "write-text", "jump-0", "hlt", "out", "ud2", "int-80"];
            assert!(ended || !deadly.contains(&name), "{name}: {outcome:?}");
        }
    });
}

/// With a disk and a network, and nobody who answers.
fn hypercalls(s: &Sandbox, words: &str) -> Outcome {
    let bundle = with_disk(s.bundle("b"), "hypercalls")
        .namespace("network", Network::path(s).to_str())
        .with("/process/args", json!([words]))
        .with("/linux/resources/memory", json!({"limit": 24 << 20}));
    let outcome = s.container("a", &bundle).on_bundle("run", &[]);
    let size = fs::metadata(bundle.rootfs().join("disk")).expect("disk").len();
    assert_eq!(size, DISK as u64, "the disk has another size");
    fs::remove_dir_all(&bundle.path).expect("bundle");
    outcome
}

fn random_calls(s: &Sandbox) {
    let network = Network(s);
    Network::make(s, &Network::usual());
    quiet(|| {
        let outcome = hypercalls(s, &format!("{} {CALLS}", Random::new().below(1 << 32)));
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(outcome.stdout.ends_with(&format!("made {CALLS} calls\n")));
    });
    drop(network);
}

/// Lives that end with one hypercall, or what is none, each.
pub(crate) fn forbidden_calls(s: &Sandbox) {
    let network = Network(s);
    Network::make(s, &Network::usual());
    let mut random = Random::new();
    quiet(|| {
        for _ in 0..FORBIDDEN {
            let seed = random.below(1 << 32);
            let outcome = hypercalls(s, &seed.to_string());
            let line = outcome.stderr.trim_end();
            let named = line.starts_with("solo5-hvt: hypercall ") || line.starts_with("solo5-hvt: port ");
            assert!(outcome.code == 1 && outcome.stdout.is_empty() && named, "seed {seed}: {outcome:?}");
        }
    });
    drop(network);
}
