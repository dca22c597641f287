//! The group `net-linux`: Debian's kernel on QEMU in the networks that engines make, as a client at the other end of the
//! veth pair sees it. The client is the process of the case itself, in a network namespace of its own.

use crate::bundle::Bundle;
use crate::harness::Case;
use crate::machine;
use crate::nameserver::answer_one;
use crate::reality::network::{Network, inventory, ip};
use crate::sandbox::{Sandbox, text};
use crate::virtio_guest::BOARDS;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use urunc_plan::NetFacts;
use urunc_plan::input::{Neighbour, NetDevice, Route};

/// Emulated, a kernel takes seconds to boot, and many of them beside others.
const PATIENCE: Duration = Duration::from_mins(2);
/// Length of the guest's long page.
const LONG: usize = 100_000;

/// All cases of the group; ours only.
pub fn cases() -> Vec<Case> {
    let case = |name: &'static str, run: fn(&Sandbox)| Case::new("net-linux", name, run);
    let mut cases: Vec<_> = crate::urunit::CASES.iter().map(|&(name, run)| case(name, run)).collect();
    cases.extend(
        BOARDS.map(|board| Case::new("net-linux", format!("on-the-board-{board}"), |s| on_board(s, board))),
    );
    cases.extend([
        case("a-long-page-with-mtu-1400", |s| long_page(s, 1400)),
        case("a-long-page-with-mtu-9000", |s| long_page(s, 9000)),
        case("without-any-key", without_keys),
        case("a-gateway-outside-of-the-subnet", far_gateway),
        case("gateways-that-answer-nobody", silent_gateways),
        case("ipv6-alone-on-a-device-called-net1", ipv6_alone),
        case("both-families", both_families),
        case("static-mode-inside-and-out", static_mode),
    ]);
    cases
}

fn long_page(s: &Sandbox, mtu: u32) {
    let facts = NetFacts {
        devices: vec![NetDevice { mtu, ..ipv4() }],
        routes: vec![gateway()],
        ..NetFacts::default()
    };
    let client = ["addr add 10.7.0.1/24 dev {peer}"];
    with_guest(s, &facts, &client, || assert_eq!(get(ip_address("10.7.0.2"), "/bytes").len(), LONG));
}

fn on_board(s: &Sandbox, board: &str) {
    fs::write(&s.settings, format!("[monitors.qemu]\nmachine = \"{board}\"\n")).expect("settings");
    let facts = NetFacts { devices: vec![ipv4()], routes: vec![gateway()], ..NetFacts::default() };
    with_guest(s, &facts, &["addr add 10.7.0.1/24 dev {peer}"], || {
        assert_eq!(get(ip_address("10.7.0.2"), "/bytes").len(), LONG);
        makes_no_machines(&get(ip_address("10.7.0.2"), "/cpuinfo"), machine::is_this());
    });
}

/// A guest's processor has no VMX, and none that is real SVM, which the host's may have; TCG emulates SVM as all the rest.
pub(crate) fn makes_no_machines(cpuinfo: &str, kvm: bool) {
    let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags"));
    let flags = flags.unwrap_or_else(|| panic!("{cpuinfo}"));
    let has = |flag: &str| flags.split_whitespace().any(|seen| seen == flag);
    assert!(has("fpu") && !has("vmx") && !(kvm && has("svm")), "{flags}");
}

/// The image has a kernel and an initrd where image tools put them, and nothing that names them.
fn without_keys(s: &Sandbox) {
    let facts = NetFacts { devices: vec![ipv4()], routes: vec![gateway()], ..NetFacts::default() };
    let change = |bundle: Bundle| {
        let root = bundle.rootfs();
        fs::remove_file(root.join("urunc.json")).expect("keys");
        for (from, to) in [("vmlinuz", ".boot/kernel"), ("initrd", ".boot/rootfs")] {
            fs::rename(root.join(from), root.join(to)).expect("a file of the image");
        }
        bundle
    };
    with_changed_guest(s, &facts, (&["addr add 10.7.0.1/24 dev {peer}"], change), || {
        assert_eq!(get(ip_address("10.7.0.2"), "/bytes").len(), LONG);
    });
}

/// The client is more than one hop away, so that the guest needs its gateway.
fn far_gateway(s: &Sandbox) {
    let device = NetDevice { ipv4: vec![([10, 244, 1, 5].into(), 32)], ..ipv4() };
    let far = Route { gateway: Some([169, 254, 1, 1].into()), ..gateway() };
    let facts = NetFacts { devices: vec![device], routes: vec![far], ..NetFacts::default() };
    let client = [
        "addr add 169.254.1.1/32 dev {peer}",
        "addr add 192.0.2.1/32 dev lo",
        "route add 10.244.1.5 dev {peer} src 192.0.2.1",
    ];
    with_guest(s, &facts, &client, || assert_eq!(get(ip_address("10.244.1.5"), "/bytes").len(), LONG));
}

/// Nobody has the gateways' addresses: their hardware address is known to the namespace alone.
fn silent_gateways(s: &Sandbox) {
    const MAC: &str = "0e:00:00:00:00:01";
    let far: [IpAddr; 2] = [[169, 254, 1, 1].into(), "fe80::1".parse().expect("an address")];
    let neighbour = |address| Neighbour { index: 2, address, mac: MAC.into(), permanent: true };
    let device = NetDevice { ipv4: vec![([10, 244, 1, 5].into(), 32)], ..with_ipv6() };
    let routes = [gateway(), gateway6()].into_iter().zip(far);
    let routes = routes.map(|(route, far)| Route { gateway: Some(far), ..route }).collect();
    let neighbours = far.map(neighbour).to_vec();
    let facts = NetFacts { devices: vec![device], routes, neighbours, ..NetFacts::default() };
    let client = [
        &format!("link set {{peer}} address {MAC}"),
        "addr add 192.0.2.1/32 dev lo",
        "route add 10.244.1.5 dev {peer} src 192.0.2.1",
        "addr add 2001:db8::1/128 dev lo nodad",
        "route add fd00:7::2 dev {peer} src 2001:db8::1",
    ];
    with_guest(s, &facts, &client, || {
        for address in ["10.244.1.5", "fd00:7::2"] {
            assert_eq!(get(ip_address(address), "/bytes").len(), LONG);
        }
    });
}

fn ipv6_alone(s: &Sandbox) {
    let device = NetDevice { name: "net1".into(), ipv4: vec![], ..with_ipv6() };
    let facts = NetFacts { devices: vec![device], routes: vec![gateway6()], ..NetFacts::default() };
    let client = ["addr add fd00:7::1/64 dev {peer} nodad"];
    with_guest(s, &facts, &client, || assert_eq!(get(ip_address("fd00:7::2"), "/bytes").len(), LONG));
}

/// The page names the guest's host, and the other one its nameservers.
fn both_families(s: &Sandbox) {
    let routes = vec![gateway(), gateway6()];
    let facts = NetFacts { devices: vec![with_ipv6()], routes, ..NetFacts::default() };
    let client = ["addr add 10.7.0.1/24 dev {peer}", "addr add fd00:7::1/64 dev {peer} nodad"];
    with_guest(s, &facts, &client, || {
        for address in ["10.7.0.2", "fd00:7::2"] {
            let page = get(ip_address(address), "/");
            assert!(page.starts_with("hello from Linux ") && page.trim_end().ends_with(" on web"), "{page}");
            let servers = "nameserver 169.254.0.53\nnameserver 10.7.0.53\nnameserver fd00:7::53\n";
            assert_eq!(get(ip_address(address), "/resolv.conf"), servers);
            let said = get(ip_address(address), "/cgi-bin/lookup?169.254.0.53");
            assert!(said.contains(&format!("Address: {KNOWN}\n")), "{said}");
        }
    });
}

/// The guest's question reaches a server outside with the container's address, its answer the guest.
fn static_mode(s: &Sandbox) {
    let facts = NetFacts { devices: vec![ipv4()], routes: vec![gateway()], ..NetFacts::default() };
    move_away(s);
    let _network = Network(s);
    let path = network(s, &facts, &["addr add 10.7.0.1/24 dev {peer}"]);
    let before = Network::links(s);
    let server = TcpListener::bind("10.7.0.1:8080").expect("the client's address");
    let bundle = linux(s, &path, &["fetch", "http://10.7.0.1:8080/"]);
    let mode = json!({"com.urunc.network.mode": "static"});
    let c = s.container("a", &bundle.with("/annotations", mode));
    c.launch();
    let (mut stream, from) = server.accept().expect("the guest");
    assert_eq!(from.ip().to_string(), "10.7.0.2");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    write!(stream, "HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(LONG)).expect("a reader");
    stream.shutdown(Shutdown::Write).expect("the end of the page");
    let mut request = String::new();
    stream.read_to_string(&mut request).expect("the guest closes when it has all");
    assert!(request.starts_with("GET / HTTP/1."), "{request}");
    c.until_stopped();
    c.delete().ok();
    assert_eq!(Network::links(s), before);
}

fn ipv4() -> NetDevice {
    let mut facts = Network::usual();
    NetDevice { ipv4: vec![([10, 7, 0, 2].into(), 24)], ..facts.devices.remove(0) }
}

fn with_ipv6() -> NetDevice {
    NetDevice { ipv6: vec![("fd00:7::2".parse().expect("an address"), 64)], ..ipv4() }
}

fn gateway() -> Route {
    Route { index: 2, gateway: Some([10, 7, 0, 1].into()), ..Route::default() }
}

fn gateway6() -> Route {
    let destination = ("::".parse().expect("an address"), 0);
    Route { destination, gateway: "fd00:7::1".parse().ok(), metric: 1024, ..gateway() }
}

/// Runs `work` while the guest serves. `client` are the words of `ip` that give this end its addresses.
fn with_guest(s: &Sandbox, facts: &NetFacts, client: &[&str], work: impl FnOnce()) {
    with_changed_guest(s, facts, (client, |bundle| bundle), work);
}

fn with_changed_guest(
    s: &Sandbox,
    facts: &NetFacts,
    (client, change): (&[&str], fn(Bundle) -> Bundle),
    work: impl FnOnce(),
) {
    move_away(s);
    let _network = Network(s);
    let path = network(s, facts, client);
    let _nameserver = Inside::start(s);
    let before = inventory(s);
    let c = s.container("a", &change(linux(s, &path, &["serve"])));
    c.create().ok();
    let console = s.last_output().with_extension("out");
    c.start().ok();
    work();
    no_firmware(&text(&console));
    assert_eq!(c.status(), "running");
    machine::accelerated(&c);
    c.kill("KILL").ok();
    c.until_stopped();
    c.delete().ok();
    assert_eq!(inventory(s), before);
}

/// The kernel's words are the first: of its set-up code in 16 bits, if that has a console, then of itself.
fn no_firmware(console: &str) {
    let before = console.split("[    0.000000] Linux version").next().unwrap_or_default().trim_end();
    assert!(matches!(before, "" | "Probing EDD (edd=off to disable)... ok"), "{before}");
}

/// What the nameserver in the container's namespace answers.
const KNOWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// A nameserver in the namespace of the case, on a port and an address as Docker's.
struct Inside(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Inside {
    fn start(s: &Sandbox) -> Self {
        ip(&format!("-n {} link set lo up", s.tag));
        let namespace = fs::File::open(Network::path(s)).expect("a namespace");
        let end = Arc::new(AtomicBool::new(false));
        let (seen, (bound, is_bound)) = (Arc::clone(&end), mpsc::channel());
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("a namespace");
            let socket = UdpSocket::bind("127.0.0.11:40053").expect("a port");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
            bound.send(()).expect("a listener");
            while !seen.load(Ordering::Relaxed) {
                answer_one(&socket, KNOWN);
            }
        });
        is_bound.recv().expect("a nameserver");
        Self(end, Some(thread))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().map(JoinHandle::join);
    }
}

/// The guest that serves pages, of the image that `scripts/linux-image.sh` makes.
pub(crate) fn serving(bundle: Bundle) -> Bundle {
    let bundle = bundle.unikernel(&[], &KEYS);
    for name in ["vmlinuz", "initrd"] {
        fs::copy(image().join(name), bundle.rootfs().join(name)).expect("a file of the image");
    }
    let bundle = bundle.with("/linux/resources/memory", json!({"limit": 256 << 20}));
    // The kernel takes these variables for its parameters. Many emulated machines at once make its test of its timer fail,
    // and it panics; microvm has no timer to measure the processor's clock by, and the kernel tries for ever.
    let bundle = bundle.with("/process/env", json!(["no_timer_check=1", "tsc_early_khz=2000000"]));
    bundle.with("/process/args", json!(["/app", "serve"]))
}

/// The network of the guest; its path. `client` are the words of `ip` that give this end its addresses.
fn network(s: &Sandbox, facts: &NetFacts, client: &[&str]) -> String {
    let path = Network::make(s, facts);
    let peer = Network::last_peer();
    for words in [&["link set lo up", "link set {peer} up"], client].concat() {
        ip(&words.replace("{peer}", &peer));
    }
    path
}

/// The guest in this network, as an engine gives it its host name and its nameservers.
fn linux(s: &Sandbox, network: &str, words: &[&str]) -> Bundle {
    let resolv = s.dir.join("resolv.conf");
    fs::write(&resolv, "nameserver 127.0.0.11\nnameserver 10.7.0.53\nnameserver fd00:7::53\n")
        .expect("a file");
    let mount =
        json!({"destination": "/etc/resolv.conf", "type": "bind", "source": resolv, "options": ["rbind"]});
    let bundle = serving(s.bundle("b")).namespace("network", Some(network)).with("/mounts", json!([mount]));
    let bundle = bundle.with("/hostname", json!("web"));
    bundle.with("/process/args", json!([&["/app"], words].concat()))
}

/// Into a new network namespace, which has no name any more.
fn move_away(s: &Sandbox) {
    let name = s.id("client");
    ip(&format!("netns add {name}"));
    let namespace = fs::File::open(format!("/run/netns/{name}")).expect("a namespace");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("a namespace");
    ip(&format!("netns delete {name}"));
}

pub(crate) const KEYS: [(&str, &str); 4] =
    [("unikernelType", "linux"), ("hypervisor", "qemu"), ("binary", "/vmlinuz"), ("initrd", "/initrd")];

/// What `scripts/linux-image.sh` made, `LINUX` (default: `dist/linux`).
pub(crate) fn image() -> PathBuf {
    let path = std::env::var("LINUX").unwrap_or_else(|_| "dist/linux".into());
    Path::new(&path)
        .canonicalize()
        .unwrap_or_else(|e| panic!("{path}: {e}: run scripts/linux-image.sh {path}"))
}

fn ip_address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The body of a page, as soon as somebody serves it.
pub(crate) fn get(address: IpAddr, page: &str) -> String {
    let to = SocketAddr::new(address, 80);
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        match TcpStream::connect_timeout(&to, Duration::from_secs(1)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{to} cannot be reached: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    write!(stream, "GET {page} HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a page");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no page: {answer}"));
    assert!(head.starts_with("HTTP/1.0 200 ") || head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}
