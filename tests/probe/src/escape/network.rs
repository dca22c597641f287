//! Sockets of others and the devices of the network namespace.

use super::call::{CWD, ask, at, call, signed};
use super::{Host, Try};
use std::io;

pub(super) const TRIES: &[(&str, Try)] = &[
    ("connect-to-an-abstract-socket", connect_abstract),
    ("connect-to-the-engine", |_| {
        let paths = [
            "/run/containerd/containerd.sock",
            "/run/docker.sock",
            "/run/dbus/system_bus_socket",
            "/dev/log",
        ];
        let tried = paths.map(|path| connect(path.as_bytes()));
        tried.into_iter().reduce(io::Result::or).unwrap_or(Ok(()))
    }),
    ("send-raw-packets", |_| ask(libc::SYS_socket, &[libc::AF_INET as usize, libc::SOCK_RAW as usize, 1])),
    ("read-all-packets", |_| {
        const ALL: usize = 0x0300;
        ask(libc::SYS_socket, &[libc::AF_PACKET as usize, libc::SOCK_RAW as usize, ALL])
    }),
    ("change-a-link", |_| netlink(&link_up())),
    ("add-a-queue", |_| netlink(&ingress_queue())),
    ("raise-a-device-by-ioctl", |_| {
        let socket = call(libc::SYS_socket, &[libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0])?;
        let mut request = [0_u8; 40];
        request[..2].copy_from_slice(b"lo");
        request[16] = 1;
        let command = usize::try_from(libc::SIOCSIFFLAGS).unwrap_or_default();
        ask(libc::SYS_ioctl, &[socket, command, at(&request)])
    }),
    ("mark-packets", |_| {
        let socket = call(libc::SYS_socket, &[libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0])?;
        let mark = 1_i32;
        ask(
            libc::SYS_setsockopt,
            &[socket, libc::SOL_SOCKET as usize, libc::SO_MARK as usize, at(&mark), size_of::<i32>()],
        )
    }),
    ("take-a-tap", |_| {
        let path = super::call::c("/dev/net/tun");
        let flags = signed(libc::O_RDWR);
        let tun = call(libc::SYS_openat, &[CWD, at(&path[..]), flags])?;
        let mut request = [0_u8; 40];
        request[..7].copy_from_slice(b"escape0");
        // IFF_TAP | IFF_NO_PI
        request[16..18].copy_from_slice(&0x1002_u16.to_ne_bytes());
        let command = usize::try_from(libc::TUNSETIFF).unwrap_or_default();
        ask(libc::SYS_ioctl, &[tun, command, at(&request)])
    }),
    ("filter-packets", |_| {
        // NETLINK_NETFILTER: a table is asked for in a batch; the answer to an unprivileged one is EPERM.
        netlink_of(12, &rules_request())
    }),
    ("open-a-socket-to-the-hypervisor", |_| {
        ask(libc::SYS_socket, &[libc::AF_VSOCK as usize, libc::SOCK_STREAM as usize, 0])
    }),
];

fn connect_abstract(host: &Host) -> io::Result<()> {
    connect(format!("\0{}", host.tag).as_bytes())
}

/// Connects to a Unix socket by path, or by name after a NUL.
fn connect(name: &[u8]) -> io::Result<()> {
    let socket = call(libc::SYS_socket, &[libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0])?;
    let address: Vec<u8> = 1_u16.to_ne_bytes().iter().chain(name).copied().collect();
    ask(libc::SYS_connect, &[socket, at(&address[..]), address.len()])
}

/// A request of netlink(7) that wants an answer.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    const REQUEST_ACK: u16 = 5;
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST_ACK | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// RTM_NEWLINK: device 1 up, which it is or might be.
fn link_up() -> Vec<u8> {
    let words: [u32; 4] = [0, 1, 1, 1];
    message(16, 0, &words.map(u32::to_ne_bytes).concat())
}

/// RTM_NEWQDISC, create: an `ingress` queue on the loopback device.
fn ingress_queue() -> Vec<u8> {
    const CREATE: u16 = 0x400;
    let words: [u32; 5] = [0, 1, 0xffff_0000, 0xffff_fff1, 0];
    let mut body = words.map(u32::to_ne_bytes).concat();
    body.extend(12_u16.to_ne_bytes());
    body.extend(1_u16.to_ne_bytes());
    body.extend(b"ingress\0");
    message(36, CREATE, &body)
}

/// NFT_MSG_GETTABLE, all tables: nf_tables answers those with CAP_NET_ADMIN only.
fn rules_request() -> Vec<u8> {
    const DUMP: u16 = 0x300;
    message(10 << 8 | 1, DUMP, &[0; 4])
}

fn netlink(request: &[u8]) -> io::Result<()> {
    netlink_of(0, request)
}

/// Sends a request and reads the verdict.
fn netlink_of(protocol: usize, request: &[u8]) -> io::Result<()> {
    let socket = call(libc::SYS_socket, &[libc::AF_NETLINK as usize, libc::SOCK_RAW as usize, protocol])?;
    let kernel = [16_u16, 0, 0, 0, 0, 0];
    call(libc::SYS_sendto, &[socket, at(request), request.len(), 0, at(&kernel), size_of_val(&kernel)])?;
    let mut answer = [0_u8; 4096];
    call(libc::SYS_recvfrom, &[socket, super::call::place(&mut answer), answer.len(), 0, 0, 0])?;
    let half = |at: usize| u16::from_ne_bytes([answer[at], answer[at + 1]]);
    let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    // NLMSG_ERROR, whose code 0 is success; anything else is what was asked for.
    if half(4) == 2 && code != 0 { Err(io::Error::from_raw_os_error(-code)) } else { Ok(()) }
}
