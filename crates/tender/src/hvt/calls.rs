//! The hypercalls of `hvt_abi.h`: what they mean and where their structures lie.
//!
//! Every address is the guest's word. A structure or data outside of its memory end the guest; a wrong device, offset or
//! length is answered as an error. The processor stands still meanwhile, and nobody else writes to the memory.

use std::os::fd::AsRawFd;

use super::exit::Cause;
use super::host;
use crate::boot::{Attached, Kind};
use crate::devices::{Devices, Events};
use crate::load::Memory;

/// Hypercall N is a write to port `BASE + N`.
const BASE: u16 = 0x500;

// `solo5_result_t`.
const OK: i32 = 0;
const AGAIN: i32 = 1;
const INVALID: i32 = 2;
const UNSPECIFIED: i32 = 3;

/// What hypercalls work on.
pub(super) struct Calls {
    pub(super) memory: Memory,
    pub(super) devices: Devices,
    pub(super) events: Events,
}

/// What is after a hypercall.
pub(super) enum Next {
    /// The guest goes on.
    Run,
    /// It has ended with this status.
    Exit(u8),
}

impl Calls {
    /// Does what the guest asks for by writing `address` to a port.
    pub(super) fn answer(&mut self, port: u16, address: u32) -> Result<Next, Cause> {
        let number = port.wrapping_sub(BASE);
        let mut call = Call { all: self, number, at: u64::from(address) };
        match number {
            1 => call.wall_time()?,
            2 => call.puts()?,
            3 => call.poll()?,
            4 | 5 => call.block()?,
            6 => call.net_write()?,
            7 => call.net_read()?,
            8 => return call.halt().map(Next::Exit),
            _ => return Err(Cause::Port(port)),
        }
        Ok(Next::Run)
    }

    /// The device with this manifest index; 0 is the reserved entry.
    fn device(&self, handle: u64) -> Option<&Attached> {
        self.devices.attached.get(usize::try_from(handle.checked_sub(1)?).ok()?)
    }
}

/// A hypercall and its structure.
struct Call<'a> {
    all: &'a mut Calls,
    number: u16,
    at: u64,
}

impl Call<'_> {
    /// `struct hvt_hc_walltime`: nsecs.
    fn wall_time(&mut self) -> Result<(), Cause> {
        self.put(0, &host::wall_time().to_le_bytes())
    }

    /// `struct hvt_hc_puts`: data, len. Nobody is told when the console is gone.
    fn puts(&mut self) -> Result<(), Cause> {
        let [data, len] = self.words()?;
        let place = self.readable(data, len)?;
        host::write_all(1, place, len);
        Ok(())
    }

    /// `struct hvt_hc_poll`: timeout; ready set, number of ready devices.
    fn poll(&mut self) -> Result<(), Cause> {
        let [timeout] = self.words()?;
        // Before it waits: a guest that cannot be answered shall not.
        self.put(8, &[0; 12])?;
        let Events { epoll, timer } = &self.all.events;
        let ready = host::poll(epoll.as_raw_fd(), timer.as_raw_fd(), timeout);
        self.put(8, &ready.to_le_bytes())?;
        self.put(16, &ready.count_ones().to_le_bytes())
    }

    /// `struct hvt_hc_block_write`, `_read`: handle, offset, data, len; ret.
    fn block(&mut self) -> Result<(), Cause> {
        let [handle, offset, data, len] = self.words()?;
        let result = self.transfer(handle, offset, (data, len))?;
        self.put(32, &result.to_le_bytes())
    }

    /// Sector by sector, as the filter wants it.
    fn transfer(&mut self, handle: u64, offset: u64, (data, len): (u64, u64)) -> Result<i32, Cause> {
        let Some(&Attached { fd, kind: Kind::Block { capacity, sector_size }, .. }) = self.all.device(handle)
        else {
            return Ok(INVALID);
        };
        let size = u64::from(sector_size);
        let inside = offset < capacity && len <= capacity - offset;
        if !inside || !len.is_multiple_of(size) {
            return Ok(INVALID);
        }
        let writes = self.number == 4;
        let place = if writes { self.readable(data, len)? } else { self.writable(data, len)? };
        for done in (0..len).step_by(usize::from(sector_size)) {
            if !host::sector(writes, fd, place + done, size, offset + done) {
                return Ok(UNSPECIFIED);
            }
        }
        Ok(OK)
    }

    /// `struct hvt_hc_net_write`: handle, data, len; ret.
    fn net_write(&mut self) -> Result<(), Cause> {
        let [handle, data, len] = self.words()?;
        let result = match self.net(handle) {
            None => INVALID,
            Some(fd) => {
                let place = self.readable(data, len)?;
                if host::write(fd, place, len) == Some(len) { OK } else { UNSPECIFIED }
            }
        };
        self.put(24, &result.to_le_bytes())
    }

    /// `struct hvt_hc_net_read`: handle, data, len (of the buffer; then of the frame); ret.
    fn net_read(&mut self) -> Result<(), Cause> {
        let [handle, data, len] = self.words()?;
        let result = match self.net(handle) {
            None => INVALID,
            Some(fd) => {
                let place = self.writable(data, len)?;
                match host::read(fd, place, len) {
                    Ok(got) => {
                        self.put(16, &got.to_le_bytes())?;
                        OK
                    }
                    Err(libc::EAGAIN) => AGAIN,
                    Err(_) => UNSPECIFIED,
                }
            }
        };
        self.put(24, &result.to_le_bytes())
    }

    /// `struct hvt_hc_halt`: cookie (where a dump would find registers), exit status.
    fn halt(&mut self) -> Result<u8, Cause> {
        let [_cookie, status] = self.words()?;
        let [status, ..] = status.to_le_bytes();
        Ok(status)
    }

    fn net(&self, handle: u64) -> Option<i32> {
        match self.all.device(handle)? {
            Attached { fd, kind: Kind::Net { .. }, .. } => Some(*fd),
            Attached { .. } => None,
        }
    }

    /// The structure's first members, each of 8 bytes.
    fn words<const N: usize>(&self) -> Result<[u64; N], Cause> {
        let mut words = [0; N];
        for (word, at) in words.iter_mut().zip((self.at..).step_by(8)) {
            *word = u64::from_le_bytes(self.all.memory.read(at).ok_or(self.outside(self.at))?);
        }
        Ok(words)
    }

    /// Writes a member at an offset of the structure.
    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Cause> {
        let outside = self.outside(self.at);
        self.all.memory.store(self.at + offset, bytes).ok_or(outside)
    }

    fn readable(&self, data: u64, len: u64) -> Result<u64, Cause> {
        self.all.memory.place(data, len).ok_or(self.outside(data))
    }

    fn writable(&self, data: u64, len: u64) -> Result<u64, Cause> {
        self.all.memory.writable(data, len).ok_or(self.outside(data))
    }

    fn outside(&self, address: u64) -> Cause {
        Cause::Hypercall { number: self.number, address }
    }
}
