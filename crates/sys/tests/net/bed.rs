//! A container's namespace and its peer, joined by a veth pair.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use urunc_plan::launch::Tap;
use urunc_plan::network::Owner;
use urunc_sys::net;

/// A network namespace without a name: it ends with its last descriptor.
pub(crate) struct Namespace(OwnedFd);

impl Namespace {
    pub(crate) fn new() -> Self {
        let made = std::thread::spawn(|| {
            // A thread of its own, so that nobody else is moved.
            #[allow(unsafe_code)]
            // SAFETY: unshare(2) of a network namespace touches no memory.
            let outcome = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(outcome, 0, "unshare: {}", std::io::Error::last_os_error());
            std::fs::File::open("/proc/thread-self/ns/net").unwrap()
        });
        let namespace = Self(made.join().unwrap().into());
        namespace.run("ip link set lo up");
        // A new namespace takes the host's settings over.
        namespace.run("sysctl -qw net.ipv4.ip_forward=0");
        namespace
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The same namespace through another descriptor.
    pub(crate) fn reopened(&self) -> OwnedFd {
        std::fs::File::open(self.path()).unwrap().into()
    }

    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs a command inside; its output. Fails the test when the command fails.
    pub(crate) fn run(&self, command: &str) -> String {
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        // A child inherits the namespace of the thread that makes it.
        let output = net::in_namespace(self.fd(), || Ok(command.output().unwrap())).unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything that connecting could have changed.
    pub(crate) fn inventory(&self) -> String {
        let links = self.run("ip -d -j addr");
        let devices = self.run("ip -o link");
        let names = devices.lines().filter_map(|line| line.split([':', '@']).nth(1)).map(str::trim);
        let filters = names.flat_map(|name| ["ingress", "egress"].map(|hook| (name, hook)));
        let filters: Vec<String> =
            filters.map(|(name, hook)| self.run(&format!("tc filter show dev {name} {hook}"))).collect();
        let rest = [
            "tc qdisc show",
            "ip route",
            "ip neigh show nud permanent",
            "ip -4 netconf show",
            "nft list ruleset",
        ];
        let rules = self.run("iptables-legacy -t nat -S");
        [links, filters.concat(), rest.map(|command| self.run(command)).join("\n"), rules].join("\n")
    }
}

/// Keeps the tests of this process apart until it is dropped.
///
/// A child has a copy of every descriptor until its exec, also of a tap that belongs to the test of another thread: the
/// tap would then outlive the close that has to be its last.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `eth0` 10.11.12.2/20, gateway 10.11.0.1, MTU 1450, no forwarding, and `peer0` with the gateway's address.
pub(crate) struct Bed {
    pub(crate) container: Namespace,
    pub(crate) peer: Namespace,
    _alone: MutexGuard<'static, ()>,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let alone = alone();
        let (container, peer) = (Namespace::new(), Namespace::new());
        let path = container.path();
        peer.run(
            "ip link add peer0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02",
        );
        peer.run(&format!("ip link set eth0 netns {path}"));
        for command in ["ip link set eth0 addrgenmode none mtu 1450 up", "ip addr add 10.11.12.2/20 dev eth0"]
        {
            container.run(command);
        }
        for command in
            ["ip link set peer0 addrgenmode none mtu 1450 up", "ip addr add 10.11.0.1/20 dev peer0"]
        {
            peer.run(command);
        }
        container.run("ip route add default via 10.11.0.1");
        // The kernel's link watch works in its own time; until then `ip` shows another state, and frames are dropped.
        for (namespace, device) in [(&container, "eth0"), (&peer, "peer0")] {
            let shown = || namespace.run(&format!("ip -j link show dev {device}"));
            until("the pair is operational", || shown().contains(r#""operstate":"UP""#));
        }
        Self { container, peer, _alone: alone }
    }

    /// The plan of a container `id` here.
    pub(crate) fn plan(&self, id: &str) -> Tap {
        let facts = net::facts(self.container.fd()).unwrap();
        let index = facts.devices.iter().find(|device| device.name == "eth0").unwrap().index;
        tap(id, index)
    }

    /// Sends a datagram from the peer to the guest's echo port and waits for the same one.
    pub(crate) fn echo(&self, payload: &[u8]) {
        let socket = self.peer_socket();
        socket.send_to(payload, (Ipv4Addr::new(10, 11, 12, 2), 7)).unwrap();
        let mut answer = [0; 2000];
        let length = socket.recv(&mut answer).unwrap();
        assert!(answer[..length] == *payload, "{length} of {} bytes", payload.len());
    }

    /// Sends one large buffer that the kernel cuts as late as it can (UDP_SEGMENT, udp(7)), and waits for every part.
    pub(crate) fn echo_segmented(&self, parts: u8, size: u16) {
        let socket = self.peer_socket();
        let value = libc::c_int::from(size);
        let length = libc::socklen_t::try_from(size_of_val(&value)).unwrap();
        let pointer = (&raw const value).cast();
        #[allow(unsafe_code)]
        // SAFETY: the option's value lives across the call and has the length given.
        let outcome = unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, pointer, length)
        };
        assert_eq!(outcome, 0, "UDP_SEGMENT: {}", std::io::Error::last_os_error());
        let payload: Vec<u8> = (0..parts).flat_map(|part| vec![part; size.into()]).collect();
        socket.send_to(&payload, (Ipv4Addr::new(10, 11, 12, 2), 7)).unwrap();
        for part in 0..parts {
            let mut answer = [0; 4096];
            let length = socket.recv(&mut answer).unwrap();
            assert!(answer[..length] == vec![part; size.into()], "part {part}: {length} bytes");
        }
    }

    pub(crate) fn peer_socket(&self) -> UdpSocket {
        let bound = || Ok(UdpSocket::bind((Ipv4Addr::new(10, 11, 0, 1), 0)).unwrap());
        let socket = net::in_namespace(self.peer.fd(), bound).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }
}

/// Waits for a condition that the kernel brings about by itself; its never coming is the failure.
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn tap(id: &str, device_index: u32) -> Tap {
    Tap {
        name: "tap0_urunc".into(),
        device: "eth0".into(),
        device_index,
        mtu: 1450,
        uid: 4001,
        gid: 4002,
        vnet_hdr: false,
        alias: id.into(),
        mac: "02:00:00:00:00:02".into(),
        ipv4: Some((Ipv4Addr::new(10, 11, 12, 2), 20)),
        gateway: Some(Ipv4Addr::new(10, 11, 0, 1)),
        ..Tap::default()
    }
}

/// The record of an owner that runs: this test.
pub(crate) fn alias(id: &str) -> String {
    let pid = std::process::id();
    let start_time = urunc_sys::process::stat(pid.cast_signed()).unwrap().unwrap().start_time;
    Owner { id: id.into(), pid, start_time }.to_string()
}

/// The error as a command shows it: with its cause.
pub(crate) fn whole(error: &urunc_sys::SysError) -> String {
    format!("{error}: {}", error.source)
}
