//! Nameservers inside of the container's namespace, asked by Linux as the guest: its stack is in a namespace of its own,
//! whose tap is the other end of ours.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bed::{Bed, Namespace, alias};
use crate::routed::decide;
use urunc_plan::NetFacts;
use urunc_plan::input::NatFacts;
use urunc_plan::launch::{Resolver, Tap};
use urunc_plan::network::resolve;
use urunc_sys::net;

/// Longer than a segment, and than what fits one queue.
const LONG: usize = 100_000;
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 11, 0, 1);

#[test]
fn a_nameserver_on_a_loopback_address_is_asked_and_asks_others() {
    let bed = Bed::new();
    // As strict as it can be: no source is taken that would be answered over another device.
    bed.container.run("sysctl -q net.ipv4.conf.all.rp_filter=1");
    let before = bed.container.inventory();
    serve(&bed.container, INSIDE, "inside");
    serve(&bed.peer, GATEWAY, "outside");
    let plan = planned(&bed);
    let resolver = plan.resolver.clone().unwrap();
    let fd = net::connect(bed.container.fd(), &plan, &alias("dns")).unwrap();
    let guest = Guest::start(fd);
    for _ in 0..3 {
        assert_eq!(ask(&guest.namespace, resolver.shown), ["inside"; 2]);
        // The nameserver asks from the container's address, which is the guest's: each gets its own answer.
        assert_eq!(ask(&bed.container, GATEWAY), ["outside"; 2]);
        assert_eq!(ask(&guest.namespace, GATEWAY), ["outside"; 2]);
    }
    guest.stop();
    net::disconnect(bed.container.fd(), &plan).unwrap();
    net::disconnect(bed.container.fd(), &plan).unwrap();
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn rules_of_a_guest_that_has_ended_are_reclaimed_by_the_next_start() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    serve(&bed.container, INSIDE, "inside");
    let ended = planned(&bed);
    drop(net::connect(bed.container.fd(), &ended, &alias("dns")).unwrap());
    assert!(bed.container.inventory().contains("table ip urunc-"));
    let next = bed.plan("next");
    let fd = net::connect(bed.container.fd(), &next, &alias("next")).unwrap();
    assert!(!bed.container.inventory().contains("urunc-"));
    drop(fd);
    net::disconnect(bed.container.fd(), &next).unwrap();
    assert_eq!(bed.container.inventory(), before);
    let fd =
        net::connect(bed.container.fd(), &Tap { alias: "other".into(), ..ended.clone() }, &alias("other"));
    let shown = bed.container.inventory();
    // What is another's stays.
    net::disconnect(bed.container.fd(), &ended).unwrap();
    assert_eq!(bed.container.inventory(), shown);
    drop(fd.unwrap());
    net::disconnect(bed.container.fd(), &Tap { alias: "other".into(), ..ended }).unwrap();
    assert_eq!(bed.container.inventory(), before);
}

/// Also where the next guest does not need the device's ingress.
#[test]
fn rules_of_a_guest_that_has_ended_are_reclaimed_by_one_behind_the_container_s_address() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    serve(&bed.container, INSIDE, "inside");
    let ended = planned(&bed);
    let foreign = "tc filter add dev eth0 ingress pref 9 protocol ip u32 match u8 0 0 classid 1:1";
    for shared in [false, true] {
        let fd = net::connect(bed.container.fd(), &ended, &alias("dns")).unwrap();
        if shared {
            bed.container.run(foreign);
        }
        drop(fd);
        let next = decide(&bed, &NatFacts { nf_tables: true, ..NatFacts::default() }, "next").unwrap();
        drop(net::connect(bed.container.fd(), &next, &alias("next")).unwrap());
        assert!(!bed.container.inventory().contains("mirred"));
        net::disconnect(bed.container.fd(), &next).unwrap();
        if shared {
            assert_eq!(bed.container.run("tc filter show dev eth0 ingress").matches("pref 9 u32").count(), 3);
            bed.container.run("tc qdisc delete dev eth0 ingress");
        }
        assert_eq!(bed.container.inventory(), before, "shared: {shared}");
    }
}

/// As nft(8) reads them, by its own code.
#[test]
fn the_rules_are_what_nft_calls_them() {
    let bed = Bed::new();
    serve(&bed.container, INSIDE, "inside");
    let plan = planned(&bed);
    let fd = net::connect(bed.container.fd(), &plan, &alias("dns")).unwrap();
    let shown = bed.container.run("nft -n list ruleset");
    let lines: Vec<&str> =
        shown.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "}").collect();
    let table = lines[0].strip_prefix("table netdev ").unwrap();
    assert!(table.starts_with("urunc-"), "{table}");
    let expected = format!(
        r#"table netdev {table}
        chain mine {{
        type filter hook ingress device "tap0_urunc" priority 0; policy accept;
        meta pkttype set 0
        table ip {table}
        chain asker {{
        type filter hook prerouting priority -300; policy accept;
        iif "tap0_urunc" ip saddr set 198.18.79.250 comment "dns"
        chain nameserver {{
        type nat hook prerouting priority -100; policy accept;
        iif "tap0_urunc" udp dport 53 dnat to 127.0.0.11:40053 comment "dns"
        iif "tap0_urunc" tcp dport 53 dnat to 127.0.0.11:40053 comment "dns"
        chain guest {{
        type filter hook prerouting priority -150; policy accept;
        iif "eth0" ct state ! 0x2 dup to 198.18.79.250 device "tap0_urunc" drop comment "dns"
        chain answer {{
        type filter hook postrouting priority 300; policy accept;
        oif "tap0_urunc" ip daddr set 10.11.12.2 comment "dns""#
    );
    assert_eq!(lines, expected.lines().map(str::trim).collect::<Vec<_>>());
    drop(fd);
    net::disconnect(bed.container.fd(), &plan).unwrap();
}

#[test]
fn a_way_that_cannot_be_made_leaves_nothing() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    serve(&bed.container, INSIDE, "inside");
    let plan = planned(&bed);
    let bad = Resolver { address: Ipv4Addr::LOCALHOST, ..plan.resolver.clone().unwrap() };
    // A comment of a rule that nf_tables does not take, when the redirect is there already.
    let plan = Tap { resolver: Some(bad), alias: "x".repeat(254), ..plan };
    let said = net::connect(bed.container.fd(), &plan, "urunc:x:1:2").unwrap_err().to_string();
    assert_eq!(said, "add nf_tables rules for the nameserver 127.0.0.1");
    assert_eq!(bed.container.inventory(), before);
}

/// What is planned for a guest here whose resolv.conf names the address inside.
fn planned(bed: &Bed) -> Tap {
    let listeners = net::listeners(bed.container.fd()).unwrap();
    let facts = NetFacts { listeners, ..NetFacts::default() };
    resolve(Tap { nameservers: vec![INSIDE.to_string()], ..bed.plan("dns") }, &facts)
}

/// A nameserver that answers every question with its name, as often as fits `LONG` over TCP. Inside it has other ports
/// than 53, as Docker's has.
fn serve(namespace: &Namespace, address: Ipv4Addr, name: &'static str) {
    let port = if address.is_loopback() { 40_053 } else { 53 };
    let udp = bound(namespace, address, port);
    let tcp = net::in_namespace(namespace.fd(), || Ok(TcpListener::bind((address, port)).unwrap())).unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 9];
        while let Ok((_, asker)) = udp.recv_from(&mut question) {
            udp.send_to(name.as_bytes(), asker).unwrap();
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            stream.unwrap().write_all(name.repeat(LONG / name.len()).as_bytes()).unwrap();
        }
    });
}

fn bound(namespace: &Namespace, address: Ipv4Addr, port: u16) -> UdpSocket {
    net::in_namespace(namespace.fd(), || Ok(UdpSocket::bind((address, port)).unwrap())).unwrap()
}

/// What is answered over UDP, and over TCP.
fn ask(namespace: &Namespace, address: Ipv4Addr) -> [String; 2] {
    let patience = Some(Duration::from_secs(20));
    let socket = bound(namespace, Ipv4Addr::UNSPECIFIED, 0);
    socket.set_read_timeout(patience).unwrap();
    socket.send_to(b"?", (address, 53)).unwrap();
    let mut answer = [0; 99];
    let (length, from) = socket.recv_from(&mut answer).unwrap();
    assert_eq!(from, SocketAddrV4::new(address, 53).into());
    let datagram = String::from_utf8(answer[..length].to_vec()).unwrap();
    let to = SocketAddrV4::new(address, 53).into();
    let connect = || Ok(TcpStream::connect_timeout(&to, Duration::from_secs(20)).unwrap());
    let mut stream = net::in_namespace(namespace.fd(), connect).unwrap();
    stream.set_read_timeout(patience).unwrap();
    let mut long = String::new();
    stream.read_to_string(&mut long).unwrap();
    assert_eq!(long, datagram.repeat(LONG / datagram.len()));
    [datagram.clone(), datagram]
}

/// A namespace that has the container's place at the other end of a tap.
struct Guest {
    namespace: Namespace,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Guest {
    fn start(tap: OwnedFd) -> Self {
        let namespace = Namespace::new();
        namespace.run("ip link add wire type veth peer name eth0 address 02:00:00:00:00:02");
        namespace.run("ip link set wire addrgenmode none mtu 1450 up");
        namespace.run("ip link set eth0 addrgenmode none mtu 1450 up");
        namespace.run("ip addr add 10.11.12.2/20 dev eth0");
        namespace.run("ip route add default via 10.11.0.1");
        let facts = net::facts(namespace.fd()).unwrap();
        let index = facts.devices.iter().find(|device| device.name == "wire").unwrap().index;
        let wire = Tap {
            name: "tap0_urunc".into(),
            device: "wire".into(),
            device_index: index,
            mtu: 1450,
            alias: "wire".into(),
            ..Tap::default()
        };
        let wire = net::connect(namespace.fd(), &wire, &alias("wire")).unwrap();
        let end = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&end);
        let thread = std::thread::spawn(move || pass(&[tap.into(), wire.into()], &seen));
        Self { namespace, end, thread }
    }

    fn stop(self) {
        self.end.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
    }
}

/// What one tap receives is sent to the other.
fn pass(taps: &[File; 2], end: &AtomicBool) {
    let mut frame = [0; 2048];
    while !end.load(Ordering::SeqCst) {
        let tick = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        let mut fds = taps.each_ref().map(|tap| PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN));
        poll(&mut fds, Some(&tick)).unwrap();
        for (mut from, mut to) in [(&taps[0], &taps[1]), (&taps[1], &taps[0])] {
            while let Ok(length) = from.read(&mut frame) {
                // A device that is not up yet takes nothing.
                let _ = to.write(&frame[..length]);
            }
        }
    }
}
