//! The smallest guest: answers ARP and echoes UDP on a tap.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
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
    assert_eq!(rustix::io::write(tap, &frame).unwrap(), frame.len());
    let mut buffer = [0; 2048];
    let mut patience = 100;
    while patience > 0 {
        let tick = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        if poll(&mut [PollFd::from_borrowed_fd(tap.as_fd(), PollFlags::IN)], Some(&tick)).unwrap() == 0 {
            patience -= 1;
            continue;
        }
        let length = rustix::io::read(tap, &mut buffer[..]).unwrap();
        let answer = &buffer[..length];
        let is_reply = length >= 42 && answer[12..14] == [8, 6] && answer[20..22] == [0, 2];
        if is_reply && answer[28..32] == target.octets() {
            assert_eq!((&answer[..6], &answer[38..42]), (&MAC[..], &own.octets()[..]));
            return answer[22..28].try_into().ok();
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
