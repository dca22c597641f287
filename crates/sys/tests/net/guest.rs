//! The smallest guest: answers ARP and echoes UDP on a tap.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A thread that owns the tap.
pub(crate) struct Responder {
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Responder {
    /// Serves `address`; every frame has `header` bytes of virtio header before it.
    pub(crate) fn start(fd: OwnedFd, address: Ipv4Addr, header: usize) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&end);
        let thread = std::thread::spawn(move || serve(File::from(fd), address, header, &seen));
        Self { end, thread }
    }

    /// Ends it and closes the tap.
    pub(crate) fn stop(self) {
        self.end.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
    }
}

/// Asks on the tap for the hardware address of `target`; `None` when nobody answers within two seconds.
pub(crate) fn who_has(tap: &OwnedFd, own: Ipv4Addr, target: Ipv4Addr) -> Option<[u8; 6]> {
    // Ethernet header; hardware and protocol types and lengths; request.
    let mut frame = [&[0xff; 6][..], &MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    frame.extend([&MAC[..], &own.octets(), &[0; 6], &target.octets()].concat());
    ask(tap, &frame, |answer| {
        let is_reply = answer.len() >= 42 && answer[12..14] == [8, 6] && answer[20..22] == [0, 2];
        if !is_reply || answer[28..32] != target.octets() {
            return None;
        }
        assert_eq!((&answer[..6], &answer[38..42]), (&MAC[..], &own.octets()[..]));
        answer[22..28].try_into().ok()
    })
}

/// As [`who_has`], by a neighbour solicitation.
pub(crate) fn who_has6(tap: &OwnedFd, own: Ipv6Addr, target: Ipv6Addr) -> Option<[u8; 6]> {
    let group = |last: &[u8]| [&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff][..], last].concat();
    let last = &target.octets()[13..];
    // Type, code, checksum, reserved; target; option 1: our hardware address.
    let mut solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1], &MAC].concat();
    let pseudo = [&own.octets()[..], &group(last), &[0, 0, 0, 32, 0, 0, 0, 58], &solicitation].concat();
    let sum: u32 = pseudo.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    solicitation[2..4].copy_from_slice(&sum.to_be_bytes());
    let ethernet = [&[0x33, 0x33, 0xff][..], last, &MAC, &[0x86, 0xdd]].concat();
    let header = [&[0x60, 0, 0, 0, 0, 32, 58, 255][..], &own.octets(), &group(last)].concat();
    let frame = [ethernet, header, solicitation].concat();
    ask(tap, &frame, |answer| {
        let is_reply = answer.len() >= 86 && answer[12..14] == [0x86, 0xdd] && answer[54] == 136;
        if !is_reply || answer[62..78] != target.octets() {
            return None;
        }
        assert_eq!((&answer[..6], &answer[38..54], answer[78]), (&MAC[..], &own.octets()[..], 2));
        answer[80..86].try_into().ok()
    })
}

/// Asks once every 100 milliseconds, two seconds long, as guests do: a link that has just come up drops what it is to
/// send. The first frame that `read` makes something of.
fn ask<T>(tap: &OwnedFd, question: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    let mut buffer = [0; 2048];
    for _ in 0..20 {
        assert_eq!(rustix::io::write(tap, question).unwrap(), question.len());
        let tick = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while poll(&mut [PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN)], Some(&tick)).unwrap() > 0 {
            let length = rustix::io::read(tap, &mut buffer[..]).unwrap();
            if let Some(found) = read(&buffer[..length]) {
                return Some(found);
            }
        }
    }
    None
}

fn serve(mut tap: File, address: Ipv4Addr, header: usize, end: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !end.load(Ordering::SeqCst) {
        let tick = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        poll(&mut [PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN)], Some(&tick)).unwrap();
        // The descriptor must be non-blocking: an empty tap is an error here, not a wait.
        let Ok(length) = tap.read(&mut buffer) else { continue };
        assert!(length <= header + 14 + 1450, "longer than the MTU: {length}");
        if let Some(answer) = answer(&buffer[header..length], address.octets()) {
            let frame = [&vec![0; header][..], &answer].concat();
            assert_eq!(tap.write(&frame).unwrap(), frame.len());
        }
    }
}

fn answer(frame: &[u8], address: [u8; 4]) -> Option<Vec<u8>> {
    let mut reply = frame.to_vec();
    reply[0..6].copy_from_slice(&frame[6..12]);
    reply[6..12].copy_from_slice(&MAC);
    match frame[12..14] {
        // ARP request for our address.
        [8, 6] if frame[20..22] == [0, 1] && frame[38..42] == address => {
            reply[21] = 2;
            reply[32..42].copy_from_slice(&frame[22..32]);
            reply[22..28].copy_from_slice(&MAC);
            reply[28..32].copy_from_slice(&address);
            Some(reply)
        }
        // IPv4 without options, UDP, to us. Swapping addresses and ports keeps both checksums right.
        [8, 0] if frame[14] == 0x45 && frame[23] == 17 && frame[30..34] == address => {
            reply[26..30].copy_from_slice(&frame[30..34]);
            reply[30..34].copy_from_slice(&frame[26..30]);
            reply[34..36].copy_from_slice(&frame[36..38]);
            reply[36..38].copy_from_slice(&frame[34..36]);
            Some(reply)
        }
        _ => None,
    }
}

/// Sends a datagram from the guest's port 7 by the gateway with this hardware address, and waits for the answer to it.
pub(crate) fn exchange(
    tap: &OwnedFd,
    gateway: [u8; 6],
    own: Ipv4Addr,
    to: (Ipv4Addr, u16),
    payload: &[u8],
) -> Vec<u8> {
    let length = |header: usize| u16::try_from(header + payload.len()).unwrap().to_be_bytes();
    let mut ip =
        [&[0x45, 0][..], &length(28), &[0, 1, 0, 0, 64, 17, 0, 0], &own.octets(), &to.0.octets()].concat();
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    // Without a checksum of its own: zero is none.
    let udp = [&[0, 7][..], &to.1.to_be_bytes(), &length(8), &[0, 0]].concat();
    let frame = [&gateway[..], &MAC, &[8, 0], &ip, &udp, payload].concat();
    assert_eq!(rustix::io::write(tap, &frame).unwrap(), frame.len());
    let mut buffer = [0; 2048];
    loop {
        let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
        let ready =
            poll(&mut [PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(ready, 1, "nobody answers");
        let length = rustix::io::read(tap, &mut buffer[..]).unwrap();
        let frame = &buffer[..length];
        if frame[12..14] == [8, 0] && frame[26..30] == to.0.octets() && frame[34..36] == to.1.to_be_bytes() {
            assert_eq!((&frame[30..34], &frame[36..38]), (&own.octets()[..], &[0, 7][..]));
            let end = 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]));
            return frame[42..end].to_vec();
        }
        if let Some(reply) = answer(frame, own.octets()) {
            rustix::io::write(tap, &reply).unwrap();
        }
    }
}
