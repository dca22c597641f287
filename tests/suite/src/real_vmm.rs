//! The group `real-vmm`: Firecracker and Cloud Hypervisor as monitors. `TEST_FIRECRACKER` and `TEST_CLOUD_HYPERVISOR`
//! name their programs, which then run our own guest. No registry has one, so that without them the probe plays them: it
//! takes what they take, opens what they open, and shows what it got.

use crate::bundle::Bundle;
use crate::command::until;
use crate::container::Container;
use crate::exits::ends;
use crate::harness::Case;
use crate::image::{LINUX, replaced};
use crate::net_guest::client::is_pattern;
use crate::net_guest::wire::Wire;
use crate::probe::played;
use crate::sandbox::{Sandbox, text};
use crate::virtio_guest::{LONG, USUAL, connect, guest, run, stop};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A monitor, and who names its program.
#[derive(Clone, Copy)]
struct Vmm {
    name: &'static str,
    variable: &'static str,
    /// What it adds to the guest's line when there is no device.
    added: &'static str,
}

const ALL: [Vmm; 2] = [
    Vmm { name: "firecracker", variable: "TEST_FIRECRACKER", added: " pci=off" },
    Vmm { name: "cloud-hypervisor", variable: "TEST_CLOUD_HYPERVISOR", added: "" },
];

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let case = |vmm: Vmm, name: &str, run: fn(Vmm, &Sandbox)| {
        Case::new("real-vmm", format!("{}-{name}", vmm.name), move |s: &Sandbox| run(vmm, s))
    };
    let of = |vmm: Vmm| {
        [
            case(vmm, "hands-line-initrd-and-disk-over", storage),
            case(vmm, "hands-a-read-only-disk-over", readonly),
            case(vmm, "opens-no-disk-as-what-it-looks-like", other_format),
            case(vmm, "opens-the-tap-as-a-user", pages),
            case(vmm, "runs-until-it-is-killed", killed),
            case(vmm, "stops-on-the-second-signal", stopped),
            case(vmm, "asks-its-guest-to-end", asked),
            case(vmm, "tells-how-its-guest-ends", told_ends),
        ]
    };
    ALL.into_iter().flat_map(of).collect()
}

impl Vmm {
    /// The real program, if there is one.
    fn real(self) -> Option<PathBuf> {
        std::env::var_os(self.variable).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Makes it this sandbox's monitor; a copy of it, for what others may write to is not trusted.
    fn settle(self, s: &Sandbox) {
        let program = match self.real() {
            Some(real) => {
                let path = s.dir.join(self.name);
                fs::copy(&real, &path).unwrap_or_else(|e| panic!("{}: {e}", real.display()));
                path
            }
            None => played(s, self.name),
        };
        let settings = format!("[monitors.{}]\npath = \"{}\"\n", self.name, program.display());
        fs::write(&s.settings, settings).expect("settings");
    }

    /// What is told of a guest that powers off: Firecracker's machine is reset.
    fn off(self) -> (&'static str, i32) {
        if self.name == "firecracker" { ("reset", 0) } else { ("power-off", 0) }
    }

    fn bundle(self, s: &Sandbox, words: &[&str], more: &[(&str, &str)]) -> Bundle {
        self.settle(s);
        guest(s, words).keys(&[&replaced(&LINUX, "hypervisor", self.name)[..], more].concat())
    }

    /// What the stand-in was told, once it runs; the container is stopped afterwards.
    fn told(s: &Sandbox, bundle: &Bundle) -> Value {
        let c = s.container("a", bundle);
        c.create().ok();
        let output = s.last_output().with_extension("out");
        c.start().ok();
        until("the stand-in reports", || text(&output).contains('\n'));
        let report: Value = serde_json::from_str(text(&output).trim()).expect("a report");
        stop(&c);
        report["machine"].clone()
    }
}

/// What the guest says of its line, an initrd and a disk, read through its devices.
fn storage(vmm: Vmm, s: &Sandbox) {
    let bundle = vmm.bundle(s, &["hello", "a b"], &[]);
    let kernels = "panic=-1 console=ttyS0 init=hello";
    if vmm.real().is_some() {
        let (said, status) = run(s, &bundle);
        // What is added goes to the kernel's words, not to those of its first process.
        let expected = format!(r#"told "{kernels}{} -- \"a b\"""#, vmm.added);
        assert!(said.contains(&expected) && status == 0, "{status}: {said}");
    } else {
        assert_eq!(Vmm::told(s, &bundle)["cmdline"], format!("{kernels} -- \"a b\""));
    }
    let with_initrd = vmm.bundle(s, &["initrd"], &[("initrd", "/initrd")]);
    fs::write(with_initrd.rootfs().join("initrd"), b"123456789".repeat(1000)).expect("initrd");
    if vmm.real().is_some() {
        let said = run(s, &with_initrd).0;
        assert!(said.contains("initrd: 9000 bytes, checksum 407589cf"), "{said}");
    } else {
        assert_eq!(Vmm::told(s, &with_initrd)["initrd"], 9000);
    }
    disk(vmm, s, false, b"first");
}

fn readonly(vmm: Vmm, s: &Sandbox) {
    disk(vmm, s, true, b"first");
}

fn disk(vmm: Vmm, s: &Sandbox, readonly: bool, first: &[u8]) {
    let bundle = with_disk(vmm, s, first).with("/root/readonly", json!(readonly));
    if vmm.real().is_some() {
        let said = run(s, &bundle).0;
        assert!(said.contains("block: 128 sectors, the first is \"first\""), "{said}");
        return;
    }
    let told = Vmm::told(s, &bundle);
    let disk = if vmm.name == "firecracker" { &told["drives"][0] } else { &told["disk"] };
    assert_eq!(*disk, json!({"bytes": 128 * 512, "readonly": readonly}));
}

fn with_disk(vmm: Vmm, s: &Sandbox, first: &[u8]) -> Bundle {
    let bundle = vmm.bundle(s, &["block"], &[("block", "/disk")]);
    let mut content = vec![0; 128 * 512];
    content[..first.len()].copy_from_slice(first);
    fs::write(bundle.rootfs().join("disk"), content).expect("disk");
    bundle
}

/// A raw image that begins as one of QEMU's would is either read as it is or refused: what it names as its backing file
/// would be the host's (catalogue A-12).
fn other_format(vmm: Vmm, s: &Sandbox) {
    let bundle = with_disk(vmm, s, b"QFI\xfb\0\0\0\x03");
    if vmm.real().is_none() {
        // It refuses an image whose type is not named.
        assert!(Vmm::told(s, &bundle)["kernel"].is_u64());
    } else if vmm.name == "firecracker" {
        let said = run(s, &bundle).0;
        assert!(said.contains("block: 128 sectors, the first is \"QFI"), "{said}");
    } else {
        let c = s.container("a", &bundle);
        c.create().ok();
        let error = c.start().fails();
        assert!(error.contains("cloud-hypervisor"), "{error}");
        c.until_stopped();
        c.delete().ok();
    }
}

/// The tap is the user's, and so is all that the monitor opens.
fn pages(vmm: Vmm, s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let bundle = vmm.bundle(s, &["http"], &[]).namespace("network", wire.guest_path().to_str());
    let bundle = bundle.with("/process/user", json!({"uid": 1234, "gid": 1234}));
    if vmm.real().is_none() {
        let told = Vmm::told(s, &bundle);
        let tap = if vmm.name == "firecracker" { &told["taps"][0] } else { &told["tap"] };
        assert_eq!(tap["name"], "tap0_urunc");
        return;
    }
    let c = s.container("a", &bundle);
    c.launch();
    wire.as_client(|| {
        let mut client = connect(USUAL);
        assert!(client.get("/").text().contains("<h1>virtio</h1>"));
        let long = client.get(&format!("/bytes/{LONG}")).body;
        assert!(long.len() == LONG && is_pattern(&long));
    });
    stop(&c);
}

/// The monitor of a guest that does not listen, and our init beside it, which is the container's process.
fn hanging(vmm: Vmm, s: &Sandbox) -> Container<'_> {
    let c = s.container("a", &vmm.bundle(s, &["hang"], &[]));
    c.launch();
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", c.pid())).expect("a process");
    let program = fs::read_link(format!("/proc/{}/exe", children.trim())).expect("one child");
    assert_eq!(program.file_name(), Path::new(vmm.name).file_name());
    c
}

fn killed(vmm: Vmm, s: &Sandbox) {
    stop(&hanging(vmm, s));
}

/// The guest is asked, and does not mind: the time is the engine's.
fn stopped(vmm: Vmm, s: &Sandbox) {
    let c = s.container("a", &vmm.bundle(s, &["hang", "probe=api:unheard"], &[]));
    c.launch();
    let monitor = c.monitor();
    c.kill("TERM").ok();
    until("the guest was asked", || text(&s.root().join(&c.id).join("signal")) == "15");
    assert_eq!((c.status().as_str(), c.monitor()), ("running", monitor));
    c.kill("INT").ok();
    ends(&c, ("stopped", 128 + libc::SIGTERM));
}

/// Our guest sees Firecracker's keys, and has no interpreter for the ACPI tables that tell of Cloud Hypervisor's button.
fn asked(vmm: Vmm, s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    let real = vmm.real().is_some();
    let words: &[&str] = if real && vmm.name != "firecracker" { &["poweroff"] } else { &["http"] };
    let c = s.container("a", &vmm.bundle(s, words, &[]).namespace("network", wire.guest_path().to_str()));
    c.launch();
    if real && vmm.name == "firecracker" {
        wire.as_client(|| drop(connect(USUAL)));
    }
    c.sandbox.run(["kill", &c.id, "TERM"]);
    ends(&c, vmm.off());
}

/// What the guest does, what its stand-in does, and what is told of it.
fn told_ends(vmm: Vmm, s: &Sandbox) {
    for (guest, stand_in, end) in [
        ("poweroff", &["probe=ends:off"][..], vmm.off()),
        ("reset", &["probe=ends:reset"], ("reset", 0)),
        ("triple", &["probe=ends:triple"], ("triple-fault", 255)),
        ("panic", &["probe=says:panic", "probe=ends:reset"], ("panic", 255)),
    ] {
        let words = if vmm.real().is_some() { vec![guest] } else { [&["hang"], stand_in].concat() };
        let c = s.container(guest, &vmm.bundle(s, &words, &[]));
        c.launch();
        ends(&c, end);
    }
}
