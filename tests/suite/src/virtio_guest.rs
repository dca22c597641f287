//! The group `virtio-guest`: our own guest of virtual machines as a container on QEMU, which a client in another network
//! namespace reaches through the tap; and what its ends are to an engine.

use crate::bundle::Bundle;
use crate::container::Container;
use crate::harness::Case;
use crate::image::{KERNEL, LINUX, built, virtio_by_multiboot};
use crate::machine::accelerated;
use crate::net_guest::client::{Client, is_pattern};
use crate::net_guest::wire::Wire;
use crate::sandbox::{Sandbox, text};
use serde_json::json;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const GROUP: &str = "virtio-guest";
/// Emulated, a machine takes its time, and many of them beside others.
const PATIENCE: Duration = Duration::from_mins(1);
/// Length of the long page.
pub(crate) const LONG: usize = 100_000;

/// QEMU's machines.
pub(crate) const BOARDS: [&str; 3] = ["q35", "pc", "microvm"];

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let case = |name: &'static str, run: fn(&Sandbox)| Case::new(GROUP, name, run);
    let mut cases: Vec<Case> = [576, 1400, 1500, 9000]
        .into_iter()
        .map(|mtu| Case::new(GROUP, format!("pages-arrive-with-mtu-{mtu}"), move |s| pages(s, mtu)))
        .collect();
    cases.extend(
        BOARDS.map(|board| Case::new(GROUP, format!("on-the-board-{board}"), |s| on_board(s, board))),
    );
    cases.extend([
        case("ipv6-beside-ipv4", both_families),
        case("a-gateway-outside-of-the-network", far_gateway),
        case("the-command-line-arrives-and-the-machine-powers-off", hello),
        case("without-any-key", keyless),
        case("initrd-and-disk-arrive-whole", storage),
        case("a-multiboot-kernel-gets-command-line-initrd-and-network", multiboot),
        case("every-end-ends-the-container", ends),
        case("a-guest-that-does-nothing-runs-until-it-is-killed", silent),
    ]);
    cases
}

/// The guest with these words, as an engine starts it.
pub(crate) fn guest(s: &Sandbox, words: &[&str]) -> Bundle {
    with(s.bundle("b"), words)
}

/// [`guest`] in a bundle of its own.
pub(crate) fn with(bundle: Bundle, words: &[&str]) -> Bundle {
    let kernel = fs::read(built("virtio.elf")).expect("guest");
    let bundle = bundle.unikernel(&kernel, &LINUX).with("/process/args", json!(words));
    bundle.with("/linux/resources/memory", json!({"limit": 160 << 20})).with("/process/env", json!([]))
}

/// The guest that serves at its end of the wire.
fn serve<'a>(s: &'a Sandbox, wire: &Wire) -> Container<'a> {
    let bundle = guest(s, &["http"]).namespace("network", wire.guest_path().to_str());
    let c = s.container("a", &bundle);
    c.launch();
    c
}

/// A connection, as soon as the guest is there; the caller is in the client's namespace.
pub(crate) fn connect(guest: impl Into<IpAddr>) -> Client {
    let guest = SocketAddr::new(guest.into(), 80);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if std::net::TcpStream::connect_timeout(&guest, Duration::from_millis(200)).is_ok() {
            return Client::connect(guest);
        }
        assert!(Instant::now() < deadline, "{guest} cannot be reached");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) const USUAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

pub(crate) fn stop(c: &Container<'_>) {
    assert_eq!(c.status(), "running");
    c.kill("KILL").ok();
    assert_eq!(c.exit_code(), 128 + libc::SIGKILL);
    c.delete().ok();
}

/// Page, command line and long bodies over one connection; frames are as long as the MTU allows.
fn pages(s: &Sandbox, mtu: u16) {
    let wire = Wire::usual(s, mtu);
    let c = serve(s, &wire);
    wire.as_client(|| {
        let mut client = connect(USUAL);
        let page = client.get("/");
        assert!(page.text().contains("<h1>virtio</h1>") && page.text().contains("10.0.0.2"), "{page:?}");
        let first = page.count();
        let line = client.get("/env").text();
        let expected =
            "panic=-1 console=ttyS0 ip=10.0.0.2::10.0.0.1:255.255.255.0:guest:eth0:off init=http -- ";
        assert_eq!(line, expected);
        let before = wire.frames();
        let long = client.get(&format!("/bytes/{LONG}")).body;
        assert!(long.len() == LONG && is_pattern(&long));
        // IPv4 and TCP headers without options; acknowledgements are frames as well.
        let (full, frames) = (LONG as u64 / u64::from(mtu - 40), wire.frames() - before);
        assert!((full..full + full / 5 + 20).contains(&frames), "{frames} frames instead of {full}");
        assert_eq!(client.get("/").count(), first + 3);
    });
    stop(&c);
}

fn both_families(s: &Sandbox) {
    let wire = Wire::usual(s, 1500);
    wire.on_guest("address add fd00::2/64 dev eth0 nodad");
    wire.on_client("address add fd00::1/64 dev eth0 nodad");
    let c = serve(s, &wire);
    wire.as_client(|| {
        let mut client = connect("fd00::2".parse::<IpAddr>().expect("an address"));
        let page = client.get("/");
        assert!(page.text().contains("10.0.0.2 and fd00::2"), "{page:?}");
        let body = client.get(&format!("/bytes/{LONG}")).body;
        assert!(body.len() == LONG && is_pattern(&body));
        assert_eq!(connect(USUAL).get("/env").status, 200);
    });
    stop(&c);
}

/// The client is more than one hop away, so that the guest needs its gateway.
fn far_gateway(s: &Sandbox) {
    let wire = Wire::new(s, 1500);
    wire.on_guest("address add 10.66.0.2/32 dev eth0");
    wire.on_guest("route add 169.254.1.1 dev eth0 scope link");
    wire.on_guest("route add default via 169.254.1.1 dev eth0");
    wire.on_client("address add 169.254.1.1/32 dev eth0");
    wire.on_client("address add 10.77.0.1/32 dev eth0");
    wire.on_client("route add 10.66.0.2/32 dev eth0 src 10.77.0.1");
    let c = serve(s, &wire);
    wire.as_client(|| {
        let body = connect([10, 66, 0, 2]).get(&format!("/bytes/{LONG}")).body;
        assert!(body.len() == LONG && is_pattern(&body));
    });
    stop(&c);
}

/// Runs the guest to its end; returns what it wrote and its status.
pub(crate) fn run(s: &Sandbox, bundle: &Bundle) -> (String, i32) {
    let c = s.container("a", bundle);
    c.create().ok();
    let console = s.last_output().with_extension("out");
    c.start().ok();
    let status = c.exit_code();
    c.delete().ok();
    (text(&console), status)
}

fn hello(s: &Sandbox) {
    let bundle = guest(s, &["hello", "a b", "<&>"]).with("/process/env", json!(["A=1", "B=x y"]));
    let line = r#"panic=-1 console=ttyS0 A=1 B=\"x y\" init=hello -- \"a b\" <&>"#;
    let expected = format!("hello: entered by Pvh, told \"{line}\"\n");
    assert_eq!(run(s, &bundle), (expected, 0));
}

/// The kernel itself says that it is one of Linux.
fn keyless(s: &Sandbox) {
    let bundle = guest(s, &["hello"]);
    fs::remove_file(bundle.rootfs().join("urunc.json")).expect("keys");
    let (said, status) = run(s, &bundle);
    assert!(said.starts_with("hello: entered by Pvh, told ") && status == 0, "{status}: {said}");
}

/// What the guest says about an initrd and a disk, read through its devices.
fn storage(s: &Sandbox) {
    let bundle = guest(s, &["initrd", "block"]).keys(&[&LINUX[..], &[("initrd", "/initrd")]].concat());
    fs::write(bundle.rootfs().join("initrd"), b"123456789".repeat(1000)).expect("initrd");
    let said = run(s, &bundle).0;
    assert_eq!(said, "initrd: 9000 bytes, checksum 407589cf\nblock: there is none\n");
    let bundle = guest(s, &["initrd", "block"]).keys(&[&LINUX[..], &[("block", "/disk")]].concat());
    let disk = fs::File::create(bundle.rootfs().join("disk")).expect("disk");
    disk.set_len(128 * 512).expect("disk");
    disk.write_all_at(b"first", 0).expect("disk");
    let said = run(s, &bundle).0;
    assert_eq!(said, "initrd: 0 bytes, checksum 00000000\nblock: 128 sectors, the first is \"first\"\n");
}

/// A page of the guest with this bundle, and what it said before.
fn page(s: &Sandbox, bundle: Bundle) -> String {
    let wire = Wire::usual(s, 1500);
    let c = s.container("a", &bundle.namespace("network", wire.guest_path().to_str()));
    c.create().ok();
    let console = s.last_output().with_extension("out");
    c.start().ok();
    wire.as_client(|| {
        let body = connect(USUAL).get(&format!("/bytes/{LONG}")).body;
        assert!(body.len() == LONG && is_pattern(&body));
    });
    accelerated(&c);
    stop(&c);
    text(&console)
}

/// The 32-bit file, whose command line begins with its name.
fn multiboot(s: &Sandbox) {
    let keys = [&LINUX[..], &[("initrd", "/initrd")]].concat();
    let bundle = guest(s, &["initrd", "hello", "http"]).keys(&keys);
    fs::write(bundle.rootfs().join("initrd"), b"123456789").expect("initrd");
    fs::write(bundle.rootfs().join(KERNEL), virtio_by_multiboot()).expect("kernel");
    let said = page(s, bundle);
    assert!(said.starts_with("initrd: 9 bytes, checksum cbf43926\n"), "{said}");
    assert!(said.contains("\nhello: entered by Multiboot, told \"/guest/kernel panic=-1 "), "{said}");
}

/// Disk and network at once, under the filters: whatever QEMU calls for them on this board is allowed.
fn on_board(s: &Sandbox, board: &str) {
    fs::write(&s.settings, format!("[monitors.qemu]\nmachine = \"{board}\"\n")).expect("settings");
    let bundle = guest(s, &["block", "http"]).keys(&[&LINUX[..], &[("block", "/disk")]].concat());
    fs::write(bundle.rootfs().join("disk"), [b'a'; 512]).expect("disk");
    let said = page(s, bundle);
    assert!(said.starts_with("block: 1 sectors, the first is \"aaaa"), "{said}");
}

/// Whatever becomes of the machine, the container stops and leaves nothing.
fn ends(s: &Sandbox) {
    for word in ["poweroff", "exit=42", "panic", "triple", "reset"] {
        let bundle = guest(s, &[word]);
        let c = s.container(word.split('=').next().unwrap_or(word), &bundle);
        c.launch();
        c.until_stopped();
        c.delete().ok();
    }
}

fn silent(s: &Sandbox) {
    for word in ["hang", "hlt", "flood"] {
        let c = s.container(word, &guest(s, &[word]));
        c.launch();
        stop(&c);
    }
}
