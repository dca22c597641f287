//! Block and network devices of a guest, and its clock.

use std::os::unix::net::UnixDatagram;

use urunc_plan::launch::{Attach, Device};

use crate::guest::{DATA, EPOLL, Step, TIMER, device, image, print};
use crate::run::Guest;

crate::tests! {
    a_disk_is_read_and_written_by_sectors, a_disk_is_pinned_to_its_sectors, a_read_only_disk_refuses_writes,
    frames_go_both_ways, the_manifest_is_filled, several_devices_keep_their_places, the_timer_wakes_the_guest,
}

const READ: i64 = libc::SYS_pread64;
const WRITE: i64 = libc::SYS_pwrite64;

fn with_disk(steps: &[Step], data: &[u8], writable: bool) -> Guest {
    let mut image = image(steps, data);
    image.devices = vec![("storage", false)];
    Guest::new(&image).disk("storage", &[b'.'; 2048], writable)
}

fn a_disk_is_read_and_written_by_sectors() {
    let mut data = [b'#'; 1024];
    data[511] = b'\n';
    let steps = [
        Step::Call(WRITE, [device(1), DATA, 512, 1536, 0, 0], 512),
        Step::Call(READ, [device(1), DATA + 0x1000, 512, 1536, 0, 0], 512),
        Step::Call(libc::SYS_write, [1, DATA + 0x1000, 512, 0, 0, 0], 512),
        Step::Call(READ, [device(1), DATA, 512, 0, 0, 0], 512),
        print(512),
    ];
    let guest = with_disk(&steps, &data, true);
    let end = guest.run();
    let sector = format!("{}\n", "#".repeat(511));
    assert_eq!((end.code, end.out), (0, format!("{sector}{}", ".".repeat(512))));
    let file = std::fs::read_to_string(guest.path("storage")).unwrap();
    assert_eq!(file, format!("{}{sector}", ".".repeat(1536)));
}

fn a_disk_is_pinned_to_its_sectors() {
    let calls = [
        [device(1), DATA, 1024, 0, 0, 0],
        [device(1), DATA, 511, 0, 0, 0],
        [device(1), DATA, 512 | 1 << 32, 0, 0, 0],
        [device(1), DATA, 512, 1537, 0, 0],
        [device(1), DATA, 512, 1 << 32, 0, 0],
        [device(1), DATA, 512, u64::MAX, 0, 0],
        [0, DATA, 512, 0, 0, 0],
        [EPOLL, DATA, 512, 0, 0, 0],
    ];
    for call in calls {
        for number in [READ, WRITE] {
            let guest = with_disk(&[Step::Try(number, call)], b"", true);
            assert_eq!(guest.run().code, 159, "{call:x?}");
            assert_eq!(std::fs::read(guest.path("storage")).unwrap(), [b'.'; 2048]);
        }
    }
}

fn a_read_only_disk_refuses_writes() {
    let refused = i64::from(-libc::EBADF);
    let guest = with_disk(&[Step::Call(WRITE, [device(1), DATA, 512, 0, 0, 0], refused)], &[0; 512], false);
    assert_eq!(guest.run().code, 0);
    assert_eq!(std::fs::read(guest.path("storage")).unwrap(), [b'.'; 2048]);
}

/// A socket pair stands in for the tap.
fn with_net(steps: &[Step], data: &[u8]) -> (Guest, UnixDatagram) {
    let mut image = image(steps, data);
    image.devices = vec![("service", true)];
    net(Guest::new(&image))
}

fn net(mut guest: Guest) -> (Guest, UnixDatagram) {
    let (own, peer) = (guest.path("own"), guest.path("peer"));
    let socket = UnixDatagram::bind(&peer).unwrap();
    // A guest that never sends must not hang the tests.
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let device = Device::Net { mac: "02:00:0a:0b:0c:0d".to_owned(), mtu: 1400 };
    guest.orders.plan.attach.push(Attach { name: "service".to_owned(), device });
    guest.orders.sockets = Some((own, peer));
    (guest, socket)
}

fn frames_go_both_ways() {
    let (read, write) = (libc::SYS_read, libc::SYS_write);
    let frame = [device(1), DATA + 0x2000, 1500, 0, 0, 0];
    let steps = [
        print(6),
        Step::Call(read, frame, i64::from(-libc::EAGAIN)),
        Step::Call(write, [device(1), DATA, 5, 0, 0, 0], 5),
        Step::Call(libc::SYS_epoll_pwait, [EPOLL, DATA + 0x1000, 4, u64::MAX, 0, 0], 1),
        // The event's data, at 4 of 12 bytes, is the manifest index.
        Step::Call(write, [1, DATA + 0x1000 + 4, 8, 0, 0, 0], 8),
        Step::Call(read, frame, 4),
        Step::Call(write, [1, DATA + 0x2000, 4, 0, 0, 0], 4),
    ];
    let (guest, socket) = with_net(&steps, b"frame\n");
    let end = std::thread::scope(|scope| {
        let end = scope.spawn(|| guest.run());
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"frame");
        socket.send_to(b"back", guest.path("own")).unwrap();
        end.join().unwrap()
    });
    assert_eq!((end.code, end.out.as_str()), (0, "frame\n\u{1}\0\0\0\0\0\0\0back"));
}

fn the_manifest_is_filled() {
    let entry = 0x1_1000 + 40 + 8 + 104;
    let show = |at, len: u64| Step::Call(libc::SYS_write, [1, at, len, 0, 0, 0], len.cast_signed());
    let (guest, _socket) = with_net(&[show(entry, 8), show(entry + 72, 6), show(entry + 68, 4)], b"");
    let end = guest.run();
    assert_eq!((end.code, end.out.as_str()), (0, "service\0\u{2}\0\n\u{b}\u{c}\r\u{2}\0\0\0"));
    let show_disk = [show(entry, 8), show(entry + 72, 10), show(entry + 96, 1)];
    let end = with_disk(&show_disk, b"", true).run();
    assert_eq!(end.out, "storage\0\0\u{8}\0\0\0\0\0\0\0\u{2}\u{1}");
}

fn several_devices_keep_their_places() {
    let steps = [
        Step::Call(WRITE, [device(3), DATA, 512, 0, 0, 0], 512),
        Step::Call(libc::SYS_write, [device(2), DATA, 1, 0, 0, 0], 1),
        Step::Call(libc::SYS_epoll_pwait, [EPOLL, DATA + 0x1000, 4, u64::MAX, 0, 0], 1),
        Step::Call(libc::SYS_write, [1, DATA + 0x1000 + 4, 1, 0, 0, 0], 1),
    ];
    let mut image = image(&steps, &[b'#'; 512]);
    image.devices = vec![("first", false), ("service", true), ("second", false)];
    let guest = Guest::new(&image).disk("first", &[b'.'; 512], true);
    let (guest, socket) = net(guest);
    let guest = guest.disk("second", &[b'.'; 512], true);
    let end = std::thread::scope(|scope| {
        let end = scope.spawn(|| guest.run());
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
        socket.send_to(b"x", guest.path("own")).unwrap();
        end.join().unwrap()
    });
    assert_eq!((end.code, end.out.as_str()), (0, "\u{2}"));
    assert_eq!(std::fs::read(guest.path("first")).unwrap(), [b'.'; 512]);
    assert_eq!(std::fs::read(guest.path("second")).unwrap(), [b'#'; 512]);
}

fn the_timer_wakes_the_guest() {
    let mut data = b"woken\n\0\0".to_vec();
    // `struct itimerspec`: no interval, one nanosecond after the start of the clock.
    data.extend([0, 0, 0, 1].into_iter().flat_map(u64::to_le_bytes));
    let absolute = libc::TFD_TIMER_ABSTIME as u64;
    let steps = [
        Step::Call(libc::SYS_clock_gettime, [0, DATA + 0x1000, 0, 0, 0, 0], 0),
        Step::Call(libc::SYS_clock_gettime, [1, DATA + 0x1000, 0, 0, 0, 0], 0),
        Step::Call(libc::SYS_timerfd_settime, [TIMER, absolute, DATA + 8, 0, 0, 0], 0),
        Step::Call(libc::SYS_epoll_pwait, [EPOLL, DATA + 0x1000, 4, u64::MAX, 0, 0], 1),
        print(6),
    ];
    let end = Guest::new(&image(&steps, &data)).run();
    assert_eq!((end.code, end.out.as_str()), (0, "woken\n"));
}
