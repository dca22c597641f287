//! The static mode against real namespaces: a guest behind the container's address.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::bed::{Bed, Namespace, alias, whole};
use crate::guest::{self, Responder};
use urunc_plan::input::{self, NamespaceKind, NatFacts};
use urunc_plan::launch::{Nat, Port, Tap};
use urunc_plan::{NetFacts, Request};
use urunc_sys::net;

const IPTABLES: &str = "/usr/sbin/iptables-legacy";
const GUEST: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 11, 0, 1);

/// What rewrites addresses: both in turn.
fn translators() -> [NatFacts; 2] {
    let nftables = NatFacts { nf_tables: true, ..NatFacts::default() };
    [nftables, NatFacts { iptables: Some(IPTABLES.into()), ..NatFacts::default() }]
}

fn facts(bed: &Bed, translator: &NatFacts) -> NetFacts {
    let nat = if translator.nf_tables {
        net::nat_facts(bed.container.fd(), Some(IPTABLES)).unwrap()
    } else {
        without_nf_tables(bed, Some(IPTABLES))
    };
    assert_eq!((nat.nf_tables, &nat.iptables), (translator.nf_tables, &translator.iptables));
    NetFacts { nat, ..net::facts(bed.container.fd()).unwrap() }
}

pub(crate) fn decide(bed: &Bed, translator: &NatFacts, id: &str) -> Result<Tap, String> {
    let network = input::Namespace { kind: NamespaceKind::Network, path: Some("x".into()), host: false };
    let request =
        Request { id: id.into(), namespaces: vec![network], static_network: true, ..Request::default() };
    let tap = urunc_plan::network::tap(&request, &facts(bed, translator), false);
    tap.map(Option::unwrap).map_err(|error| error.to_string())
}

fn connect(bed: &Bed, tap: &Tap) -> OwnedFd {
    net::connect(bed.container.fd(), tap, &alias(&tap.alias)).unwrap()
}

fn disconnect(bed: &Bed, tap: &Tap) {
    net::disconnect(bed.container.fd(), tap).unwrap();
}

/// The facts as a kernel shows them that has no nf_tables: its sockets are refused to a thread of this process.
fn without_nf_tables(bed: &Bed, iptables: Option<&'static str>) -> NatFacts {
    let namespace = bed.container.reopened();
    let thread = std::thread::spawn(move || {
        refuse_netfilter_sockets();
        net::nat_facts(std::os::fd::AsFd::as_fd(&namespace), iptables).unwrap()
    });
    thread.join().unwrap()
}

/// Of the calling thread, for ever: socket(AF_NETLINK, _, NETLINK_NETFILTER) fails with EPROTONOSUPPORT.
#[allow(unsafe_code)]
fn refuse_netfilter_sockets() {
    let load = |offset: u32| libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: offset };
    let equal = |k: u32, jf: u8| libc::sock_filter { code: 0x15, jt: 0, jf, k };
    let answer = |k: u32| libc::sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let errno = libc::SECCOMP_RET_ERRNO | libc::EPROTONOSUPPORT.cast_unsigned();
    // struct seccomp_data: the number at 0, the arguments from 16 on.
    let mut filter = [
        load(0),
        equal(u32::try_from(libc::SYS_socket).unwrap(), 5),
        load(16),
        equal(libc::AF_NETLINK.cast_unsigned(), 3),
        load(32),
        equal(libc::NETLINK_NETFILTER.cast_unsigned(), 1),
        answer(errno),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 8, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its filter live across the call, which copies them.
    let outcome = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    assert_eq!(outcome, 0, "seccomp: {}", std::io::Error::last_os_error());
}

/// A process of the pod.
fn sidecar(bed: &Bed) -> UdpSocket {
    let socket = net::in_namespace(bed.container.fd(), || Ok(UdpSocket::bind("0.0.0.0:0").unwrap())).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn echoed(socket: &UdpSocket, to: (Ipv4Addr, u16), payload: &[u8]) {
    socket.send_to(payload, to).unwrap();
    let mut answer = [0; 2000];
    let (length, from) = socket.recv_from(&mut answer).unwrap();
    assert_eq!((&answer[..length], from), (payload, SocketAddr::from(to)));
}

/// Echoes one datagram outside; whom it came from.
fn server(bed: &Bed) -> (u16, std::thread::JoinHandle<SocketAddr>) {
    let socket = bed.peer_socket();
    let port = socket.local_addr().unwrap().port();
    let serve = move || {
        let mut bytes = [0; 2000];
        let (length, from) = socket.recv_from(&mut bytes).unwrap();
        socket.send_to(&bytes[..length], from).unwrap();
        from
    };
    (port, std::thread::spawn(serve))
}

#[test]
fn the_guest_reaches_out_with_the_container_s_address_and_the_pod_reaches_the_guest() {
    for translator in translators() {
        let bed = Bed::new();
        let before = bed.container.inventory();
        let plan = decide(&bed, &translator, "static").unwrap();
        let fd = connect(&bed, &plan);
        assert_ne!(bed.container.inventory(), before);
        let gateway = guest::who_has(&fd, GUEST, GATEWAY).unwrap();
        let (port, server) = server(&bed);
        assert_eq!(guest::exchange(&fd, gateway, GUEST, (OUTSIDE, port), b"out"), b"out");
        assert_eq!(server.join().unwrap().ip(), Ipv4Addr::new(10, 11, 12, 2));

        // A sidecar keeps its network, and reaches the guest.
        let (port, server) = self::server(&bed);
        echoed(&sidecar(&bed), (OUTSIDE, port), b"beside");
        server.join().unwrap();
        let responder = Responder::start(fd, GUEST, 0);
        echoed(&sidecar(&bed), (GUEST, 7), &[7; 1000]);
        responder.stop();
        disconnect(&bed, &plan);
        assert_eq!(bed.container.inventory(), before);
        disconnect(&bed, &plan);
        assert_eq!(bed.container.inventory(), before);
    }
}

#[test]
fn what_an_ended_guest_left_is_reclaimed_and_its_late_delete_changes_nothing() {
    for translator in translators() {
        let bed = Bed::new();
        let before = bed.container.inventory();
        let first = decide(&bed, &translator, "first").unwrap();
        drop(net::connect(bed.container.fd(), &first, "urunc:first:1:2").unwrap());
        let left = bed.container.inventory();
        assert_ne!(left, before);
        disconnect(&bed, &Tap { alias: "other".into(), ..first.clone() });
        assert_eq!(bed.container.inventory(), left);

        let second = decide(&bed, &translator, "second").unwrap();
        let Port::Routed(routed) = &second.port else { panic!("{second:?}") };
        assert_eq!(routed.leftovers, [format!("urunc:first:1:2/forwarding={}", first.device_index)]);
        assert!(routed.forwarding, "the first one's switch is the second one's now");
        let fd = connect(&bed, &second);
        let connected = bed.container.inventory();
        disconnect(&bed, &Tap { name: "tap9_urunc".into(), ..first });
        assert_eq!(bed.container.inventory(), connected);
        let refused = decide(&bed, &translator, "third").unwrap_err();
        assert!(refused.contains("tap0_urunc of unikernel second is already in"), "{refused}");
        drop(fd);
        let refused = decide(&bed, &translator, "third").unwrap_err();
        assert!(refused.contains("unikernel second is already behind"), "{refused}");
        disconnect(&bed, &second);
        assert_eq!(bed.container.inventory(), before);
    }
}

#[test]
fn a_device_that_forwards_goes_on_and_a_foreign_qdisc_is_no_hindrance() {
    let bed = Bed::new();
    bed.container.run("sysctl -qw net.ipv4.conf.eth0.forwarding=1");
    bed.container.run("tc qdisc add dev eth0 clsact");
    bed.container.run("nft add table ip other");
    let before = bed.container.inventory();
    let plan = decide(&bed, &translators()[0], "static").unwrap();
    let fd = connect(&bed, &plan);
    let gateway = guest::who_has(&fd, GUEST, GATEWAY).unwrap();
    let (port, server) = server(&bed);
    assert_eq!(guest::exchange(&fd, gateway, GUEST, (OUTSIDE, port), b"out"), b"out");
    server.join().unwrap();
    drop(fd);
    disconnect(&bed, &plan);
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn a_device_that_has_gone_is_no_hindrance() {
    let bed = Bed::new();
    let plan = decide(&bed, &translators()[0], "lost").unwrap();
    let fd = connect(&bed, &plan);
    bed.container.run("ip link del eth0");
    disconnect(&bed, &plan);
    drop(fd);
    assert_eq!(bed.container.inventory(), Namespace::new().inventory());
}

#[test]
fn a_redirect_that_leads_nowhere_makes_room() {
    let bed = Bed::new();
    let before = bed.container.inventory();
    let redirected = bed.plan("gone");
    drop(net::connect(bed.container.fd(), &redirected, &alias("gone")).unwrap());
    let plan = decide(&bed, &translators()[0], "static").unwrap();
    let responder = Responder::start(connect(&bed, &plan), GUEST, 0);
    assert!(!bed.container.run("tc qdisc show dev eth0").contains("ingress"));
    let (port, server) = server(&bed);
    echoed(&sidecar(&bed), (OUTSIDE, port), b"the frames are the pod's again");
    server.join().unwrap();
    responder.stop();
    disconnect(&bed, &plan);
    disconnect(&bed, &redirected);
    assert_eq!(bed.container.inventory(), before);
}

#[test]
fn a_table_of_our_name_that_is_another_s_is_left_alone() {
    let with_rule =
        ["nft add table ip urunc-nat", "nft add chain ip urunc-nat x", "nft add rule ip urunc-nat x accept"];
    for commands in [&with_rule[..1], &with_rule] {
        let bed = Bed::new();
        let plan = decide(&bed, &translators()[0], "static").unwrap();
        for command in commands {
            bed.container.run(command);
        }
        let before = bed.container.inventory();
        let refused = decide(&bed, &translators()[0], "static").unwrap_err();
        let words = "a table ip urunc-nat of another owner is in the way, and is left as it is";
        assert_eq!(refused, format!("network: {words}"));
        // It came between the facts and now.
        let error = net::connect(bed.container.fd(), &plan, &alias("static")).unwrap_err();
        assert_eq!(error.source.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(whole(&error), "make table ip urunc-nat: File exists (os error 17)");
        disconnect(&bed, &plan);
        assert_eq!(bed.container.inventory(), before);
    }
}

#[test]
fn without_nf_tables_and_iptables_there_is_a_reason() {
    let bed = Bed::new();
    assert_eq!(without_nf_tables(&bed, None), NatFacts::default());
    let plan = decide(&bed, &translators()[1], "static").unwrap();
    let before = bed.container.inventory();
    for (program, words) in [
        ("/nowhere/iptables", "run /nowhere/iptables: No such file"),
        ("/bin/false", "run /bin/false: exit status: 1"),
    ] {
        let mut plan = plan.clone();
        let Port::Routed(routed) = &mut plan.port else { panic!("{plan:?}") };
        routed.nat = Nat::Iptables { program: program.into() };
        let said = whole(&net::connect(bed.container.fd(), &plan, &alias("static")).unwrap_err());
        assert!(said.starts_with(words), "{said}");
        assert_eq!(bed.container.inventory(), before);
    }
}
