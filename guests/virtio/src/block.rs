//! A block device (Virtual I/O Device 1.2, section 5.2), of which one sector is read.

use core::cell::UnsafeCell;
use core::hint;

use guest::Once;

use crate::machine::ticks;
use crate::queue::{NEXT, Queue, Rings, WRITE};
use crate::transport::{Device, Error, Kind};

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// Sectors of the device, in its configuration.
const CAPACITY_AT: u64 = 0;
/// What the status says when all is well.
const OK: u8 = 0;
/// Some seconds.
const PATIENCE: u64 = 1 << 34;

/// Request, data and status. The request is: read (0), reserved, sector 0.
#[repr(C, align(8))]
struct Memory {
    rings: Rings,
    request: [u8; 16],
    sector: UnsafeCell<[u8; SECTOR]>,
    status: UnsafeCell<u8>,
}

static MEMORY: Once<Memory> = Once::new(Memory {
    rings: Rings::new(),
    request: [0; 16],
    sector: UnsafeCell::new([0; SECTOR]),
    status: UnsafeCell::new(!OK),
});

/// Number of sectors of the first block device, and what is in the first of them.
///
/// # Errors
/// There is none, or it cannot be used, or this was asked before.
pub fn first_sector(cmdline: &str) -> Result<(u64, [u8; SECTOR]), Error> {
    let device = Device::find(Kind::Block, cmdline)?;
    let memory: &'static Memory = MEMORY.take().ok_or("it is in use")?;
    device.begin(0)?;
    let mut queue = device.queue(0, &memory.rings)?;
    device.go();
    let capacity = u64::from_le_bytes(device.config(CAPACITY_AT));
    let (sector, status) = (memory.sector.get(), memory.status.get());
    queue.describe(0, ((&raw const memory.request).expose_provenance() as u64, 16), NEXT);
    queue.describe(1, (sector.expose_provenance() as u64, SECTOR), NEXT | WRITE);
    queue.describe(2, (status.expose_provenance() as u64, 1), WRITE);
    queue.give(0);
    queue.tell();
    wait(&mut queue)?;
    // SAFETY: the device has given both back.
    let (sector, status) = unsafe { (sector.read_volatile(), status.read_volatile()) };
    if status == OK { Ok((capacity, sector)) } else { Err("it cannot be read") }
}

fn wait(queue: &mut Queue) -> Result<(), Error> {
    let start = ticks();
    while queue.take().is_none() {
        if ticks().wrapping_sub(start) > PATIENCE {
            return Err("it does not answer");
        }
        hint::spin_loop();
    }
    Ok(())
}
