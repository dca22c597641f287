//! Block and network devices of a guest, and its timer.

use std::os::unix::net::UnixDatagram;

use urunc_plan::launch::{Attach, Device};

use crate::guest::{CALL, DATA, Step, call, image, print};
use crate::run::Guest;

crate::tests! {
    a_disk_is_read_and_written_by_sectors, a_disk_is_pinned_to_its_sectors, a_read_only_disk_refuses_writes,
    a_disk_that_has_shrunk, frames_go_both_ways, the_manifest_is_filled, several_devices_keep_their_places,
    the_timer_wakes_the_guest,
}

const WRITE: u64 = 4;
const READ: u64 = 5;
const SEND: u64 = 6;
const RECEIVE: u64 = 7;
const POLL: u64 = 3;

/// A transfer of a disk, and what it must answer.
fn transfer(number: u64, words: [u64; 4], answer: u32) -> Vec<Step> {
    let [handle, offset, data, len] = words;
    [call(number, &[handle, offset, data, len, 77]), vec![Step::Expect32(CALL + 32, answer)]].concat()
}

/// A frame, and what it must answer.
fn frame(number: u64, words: [u64; 3], answer: u32) -> Vec<Step> {
    let [handle, data, len] = words;
    [call(number, &[handle, data, len, 77]), vec![Step::Expect32(CALL + 24, answer)]].concat()
}

fn with_disk(steps: &[Step], data: &[u8], writable: bool) -> Guest {
    let mut image = image(steps, data);
    image.devices = vec![("storage", false)];
    Guest::new(&image).disk("storage", &[b'.'; 2048], writable)
}

fn a_disk_is_read_and_written_by_sectors() {
    let mut data = [b'#'; 1024];
    data[511] = b'\n';
    let back = DATA + 0x1000;
    let steps = [
        transfer(WRITE, [1, 1536, DATA, 512], 0),
        transfer(READ, [1, 1536, back, 512], 0),
        call(2, &[back, 512]),
        // Two sectors, and none.
        transfer(READ, [1, 0, back, 1024], 0),
        call(2, &[back, 1024]),
        transfer(READ, [1, 0, back, 0], 0),
    ];
    let guest = with_disk(&steps.concat(), &data, true);
    let end = guest.run();
    let sector = format!("{}\n", "#".repeat(511));
    assert_eq!((end.code, end.out), (0, format!("{sector}{}", ".".repeat(1024))));
    let file = std::fs::read_to_string(guest.path("storage")).unwrap();
    assert_eq!(file, format!("{}{sector}", ".".repeat(1536)));
}

fn a_disk_is_pinned_to_its_sectors() {
    let wrong = [
        (0, 511),
        (0, 513),
        (0, 2560),
        (1537, 512),
        (2048, 512),
        (2048, 0),
        (1536, 1024),
        (1 << 32, 512),
        (u64::MAX, 512),
        (u64::MAX - 511, 512),
        (0, !511),
        (512, u64::MAX - 511),
    ];
    for number in [READ, WRITE] {
        let steps: Vec<Step> =
            wrong.iter().flat_map(|(offset, len)| transfer(number, [1, *offset, DATA, *len], 2)).collect();
        let guest = with_disk(&steps, b"", true);
        assert_eq!(guest.run().code, 0);
        assert_eq!(std::fs::read(guest.path("storage")).unwrap(), [b'.'; 2048]);
    }
}

fn a_read_only_disk_refuses_writes() {
    let guest = with_disk(&transfer(WRITE, [1, 0, DATA, 512], 3), &[0; 512], false);
    assert_eq!(guest.run().code, 0);
    assert_eq!(std::fs::read(guest.path("storage")).unwrap(), [b'.'; 2048]);
}

/// Its size was looked at when the guest began.
fn a_disk_that_has_shrunk() {
    let wait = [print(3), call(POLL, &[1_000_000_000])].concat();
    let guest = with_disk(&[wait, transfer(READ, [1, 1536, DATA, 512], 3)].concat(), b"in\n", true);
    let file = guest.path("storage");
    let running = guest.start();
    std::fs::File::options().write(true).open(file).unwrap().set_len(1024).unwrap();
    assert_eq!(running.wait(), 0);
}

/// A socket pair stands in for the tap.
pub fn net(mut guest: Guest) -> (Guest, UnixDatagram) {
    let (own, peer) = (guest.path("own"), guest.path("peer"));
    let socket = UnixDatagram::bind(&peer).unwrap();
    // A guest that never sends must not hang the tests.
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let device = Device::Net { mac: "02:00:0a:0b:0c:0d".to_owned(), mtu: 1400 };
    guest.orders.plan.attach.push(Attach { name: "service".to_owned(), device });
    guest.orders.sockets = Some((own, peer));
    (guest, socket)
}

fn with_net(steps: &[Step], data: &[u8]) -> (Guest, UnixDatagram) {
    let mut image = image(steps, data);
    image.devices = vec![("service", true)];
    net(Guest::new(&image))
}

fn frames_go_both_ways() {
    let place = DATA + 0x1000;
    let steps = [
        print(6),
        frame(RECEIVE, [1, place, 1500], 1),
        frame(SEND, [1, DATA, 5], 0),
        // A day, until the device with index 1 is ready.
        call(POLL, &[86_400_000_000_000]),
        vec![Step::Expect(CALL + 8, 1 << 1), Step::Expect32(CALL + 16, 1)],
        frame(RECEIVE, [1, place, 1500], 0),
        vec![Step::Expect(CALL + 16, 4)],
        call(2, &[place, 4]),
    ];
    let (guest, socket) = with_net(&steps.concat(), b"frame\n");
    let end = std::thread::scope(|scope| {
        let end = scope.spawn(|| guest.run());
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"frame");
        socket.send_to(b"back", guest.path("own")).unwrap();
        end.join().unwrap()
    });
    assert_eq!((end.code, end.out.as_str()), (0, "frame\nback"));
}

/// Name, type, properties and that it is attached; the tender's descriptor is not the guest's to know.
fn the_manifest_is_filled() {
    let entry = 0x1_0000 + 56 + 8 + 104;
    let steps = [
        Step::Expect(entry, u64::from_le_bytes(*b"service\0")),
        Step::Expect32(entry + 68, 2),
        Step::Expect(entry + 72, 1400 << 48 | 0x0d0c_0b0a_0002),
        Step::Expect32(entry + 88, 0),
        Step::Expect(entry + 96, 1),
    ];
    let (guest, _socket) = with_net(&steps, b"");
    assert_eq!(guest.run().code, 0);
    let steps = [
        Step::Expect(entry, u64::from_le_bytes(*b"storage\0")),
        Step::Expect32(entry + 68, 1),
        Step::Expect(entry + 72, 2048),
        Step::Expect32(entry + 80, 512),
        Step::Expect(entry + 96, 1),
    ];
    assert_eq!(with_disk(&steps, b"", true).run().code, 0);
}

fn several_devices_keep_their_places() {
    let steps = [
        transfer(WRITE, [3, 0, DATA, 512], 0),
        frame(SEND, [2, DATA, 1], 0),
        call(POLL, &[86_400_000_000_000]),
        vec![Step::Expect(CALL + 8, 1 << 2), Step::Expect32(CALL + 16, 1)],
    ];
    let mut image = image(&steps.concat(), &[b'#'; 512]);
    image.devices = vec![("first", false), ("service", true), ("second", false)];
    let (guest, socket) = net(Guest::new(&image).disk("first", &[b'.'; 512], true));
    let guest = guest.disk("second", &[b'.'; 512], true);
    let end = std::thread::scope(|scope| {
        let end = scope.spawn(|| guest.run());
        assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
        socket.send_to(b"x", guest.path("own")).unwrap();
        end.join().unwrap()
    });
    assert_eq!(end.code, 0, "{}", end.err);
    assert_eq!(std::fs::read(guest.path("first")).unwrap(), [b'.'; 512]);
    assert_eq!(std::fs::read(guest.path("second")).unwrap(), [b'#'; 512]);
}

/// At once, after a moment, and a time that is beyond every calendar is no error: it just does not come.
fn the_timer_wakes_the_guest() {
    for timeout in [0, 1, 50_000_000] {
        let steps =
            [call(POLL, &[timeout, 7, 7]), vec![Step::Expect(CALL + 8, 0), Step::Expect32(CALL + 16, 0)]];
        assert_eq!(Guest::new(&image(&steps.concat(), b"")).run().code, 0);
    }
    let guest = Guest::new(&image(&[print(5), call(POLL, &[u64::MAX])].concat(), b"idle\n")).start();
    assert_eq!(guest.stop(libc::SIGTERM), 143);
}
