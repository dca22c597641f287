//! A network device (Virtual I/O Device 1.2, section 5.1): one pair of queues, no offloads.

use guest::Once;

use crate::queue::{Queue, Rings, SIZE, WRITE};
use crate::transport::{Device, Error, Kind};

/// Features.
const MTU: u64 = 1 << 3;
const MAC: u64 = 1 << 5;
/// Configuration.
const MAC_AT: u64 = 0;
const MTU_AT: u64 = 10;
/// Queues.
const RECEIVE: u16 = 0;
const SEND: u16 = 1;
/// MTU of a device that says nothing about it, bytes.
const USUAL_MTU: u16 = 1500;
/// A header and the largest frame of an MTU of 9000, bytes.
const BUFFER: usize = 9216;
/// Buffers that are given back before the device is told: it may have run out of them.
const BATCH: u16 = SIZE / 4;

/// A buffer for each descriptor. A device writes at any time, so nothing refers to them.
type Buffers = [[u8; BUFFER]; SIZE as usize];

struct Memory {
    rings: [Rings; 2],
    received: Buffers,
    sent: Buffers,
}

static MEMORY: Once<Memory> = Once::new(Memory {
    rings: [Rings::new(), Rings::new()],
    received: [[0; BUFFER]; SIZE as usize],
    sent: [[0; BUFFER]; SIZE as usize],
});

/// The device.
pub struct Net {
    device: Device,
    receive: Queue,
    received: *mut Buffers,
    /// Buffers given back since the device was told.
    untold: u16,
    send: Queue,
    sent: *mut Buffers,
    /// Descriptors that the device has not got.
    free: [u16; SIZE as usize],
    count: usize,
    header: usize,
    /// Hardware address.
    pub mac: [u8; 6],
    /// MTU, bytes.
    pub mtu: u16,
}

impl Net {
    /// The first network device.
    ///
    /// # Errors
    /// There is none, or it cannot be used, or somebody has it already.
    pub fn open(cmdline: &str) -> Result<Self, Error> {
        let device = Device::find(Kind::Net, cmdline)?;
        let Memory { rings: [receive, send], received, sent } = MEMORY.take().ok_or("it is in use")?;
        let features = device.begin(MTU | MAC)?;
        let header = device.net_header();
        let mut net = Self {
            receive: device.queue(RECEIVE, receive)?,
            received,
            untold: 0,
            send: device.queue(SEND, send)?,
            sent,
            free: core::array::from_fn(|id| id as u16),
            count: SIZE.into(),
            header,
            // One of its own: locally administered.
            mac: if features & MAC == 0 { *b"\x02guest" } else { device.config(MAC_AT) },
            mtu: if features & MTU == 0 { USUAL_MTU } else { u16::from_le_bytes(device.config(MTU_AT)) },
            device,
        };
        net.begin();
        Ok(net)
    }

    fn begin(&mut self) {
        for id in 0..SIZE {
            self.receive.describe(id, (address(self.received, id), BUFFER), WRITE);
            self.receive.give(id);
        }
        self.device.go();
        self.receive.tell();
    }

    /// A frame has come.
    pub fn is_ready(&self) -> bool {
        self.receive.is_ready()
    }

    /// Takes a frame that came; one that is longer than `buffer` is lost.
    pub fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        loop {
            let (id, len) = self.receive.take()?;
            let len = len.min(BUFFER).saturating_sub(self.header);
            let fits = (1..=buffer.len()).contains(&len);
            if fits {
                // SAFETY: the device has given the buffer back, and the frame lies inside of both.
                unsafe {
                    let frame = place(self.received, id).add(self.header);
                    frame.copy_to_nonoverlapping(buffer.as_mut_ptr(), len);
                }
            }
            self.receive.give(id);
            self.untold += 1;
            if self.untold >= BATCH {
                self.tell();
            }
            if fits {
                return Some(&buffer[..len]);
            }
        }
    }

    /// Tells the device of all buffers that it got back.
    pub fn tell(&mut self) {
        if self.untold > 0 {
            self.untold = 0;
            self.receive.tell();
        }
    }

    /// There is a buffer for a frame.
    pub fn can_send(&mut self) -> bool {
        while let Some((id, _)) = self.send.take() {
            // A device that gives back what it has not got changes nothing.
            if let Some(place) = self.free.get_mut(self.count) {
                *place = id;
                self.count += 1;
            }
        }
        self.count > 0
    }

    /// Sends a frame; it is lost when there is no buffer, or when it is longer than one.
    pub fn send(&mut self, frame: &[u8]) {
        let len = self.header + frame.len();
        if len > BUFFER || !self.can_send() {
            return;
        }
        self.count -= 1;
        let id = self.free[self.count];
        // SAFETY: the device has not got this buffer, and the frame lies inside of both. Its header stays zero.
        unsafe {
            let buffer = place(self.sent, id).add(self.header);
            buffer.copy_from_nonoverlapping(frame.as_ptr(), frame.len());
        }
        self.send.describe(id, (address(self.sent, id), len), 0);
        self.send.give(id);
        self.send.tell();
    }
}

fn place(buffers: *mut Buffers, id: u16) -> *mut u8 {
    // Descriptors are fewer than `SIZE`.
    buffers.cast::<u8>().wrapping_add(usize::from(id) * BUFFER)
}

fn address(buffers: *mut Buffers, id: u16) -> u64 {
    place(buffers, id).expose_provenance() as u64
}
