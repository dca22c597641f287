//! Random hypercalls. Command line: `SEED COUNT` for calls that a tender answers, with wrong handles, offsets and lengths
//! among them, then 0; `SEED` alone for one that ends the guest (1).
#![no_std]
#![no_main]

use core::arch::asm;

use hostile::{Memory, Random, on_own_stack};
use solo5::{BootInfo, exit, hypercall, println};

solo5::guest!(main, block "storage", net "service");

const PUTS: u16 = 2;
const POLL: u16 = 3;
const BLOCK_WRITE: u16 = 4;
const BLOCK_READ: u16 = 5;
const NET_WRITE: u16 = 6;
const NET_READ: u16 = 7;

fn main(info: &'static BootInfo) -> u8 {
    on_own_stack(run, info)
}

extern "C" fn run(info: &'static BootInfo) -> ! {
    let mut numbers = info.cmdline().split(' ').filter_map(|word| word.parse().ok());
    let (Some(seed), count) = (numbers.next(), numbers.next()) else { exit(1) };
    let (Some(disk), Some(net)) = (info.device("storage"), info.device("service")) else { exit(1) };
    let mut guest = Guest {
        random: Random(seed),
        memory: Memory::new(info, main as fn(&'static BootInfo) -> u8 as usize as u64),
        end: info.mem_size,
        handles: [disk.handle(), net.handle()],
        capacity: disk.capacity(),
    };
    let Some(count) = count else {
        guest.forbidden();
        println!("still alive");
        exit(2)
    };
    for _ in 0..count {
        guest.answered();
    }
    println!("\nmade {count} calls");
    exit(0)
}

struct Guest {
    random: Random,
    memory: Memory,
    end: u64,
    /// Of the disk and of the network device.
    handles: [u64; 2],
    capacity: u64,
}

impl Guest {
    /// A call whose structure and data are in free memory.
    fn answered(&mut self) {
        let data = self.place(self.capacity);
        let (handle, length) = (self.handle(), self.random.below(2048));
        match self.random.below(8) {
            0 => self.call(1, [0; 4]),
            1 => self.call(PUTS, [data, length & 63, 0, 0]),
            // Microseconds at most: nobody might wake it.
            2 => self.call(POLL, [length, 0, 0, 0]),
            3 => self.call(NET_READ, [handle, data, length, 0]),
            4 => self.call(NET_WRITE, [handle, data, length, 0]),
            number => {
                let number = if number == 5 { BLOCK_WRITE } else { BLOCK_READ };
                let (offset, length) = (self.number(), self.number());
                self.call(number, [handle, offset, data, length]);
            }
        }
    }

    /// A call with an address that is not the guest's, or none at all.
    fn forbidden(&mut self) {
        let (beyond, good) = (self.beyond(), self.place(64));
        let too_long = self.random.number() | self.end;
        match self.random.below(5) {
            // The structure: what is cut off of an address must not make it another one.
            0 => {
                let at = self.end - 7 + self.random.below((1 << 32) - self.end);
                hypercall(1 + self.random.below(8) as u16, at);
            }
            1 => self.call(PUTS, [beyond, 64, 0, 0]),
            2 => self.call(PUTS, [good, too_long, 0, 0]),
            3 => {
                let number = [BLOCK_WRITE, BLOCK_READ][self.random.below(2) as usize];
                self.call(number, [self.handles[0], 0, beyond, 512]);
            }
            _ => self.port(),
        }
    }

    /// An I/O instruction that is no hypercall.
    fn port(&mut self) {
        let number = 9 + self.random.below(0xfff7) as u16;
        let call = 0x501 + self.random.below(8) as u16;
        // SAFETY: it ends the guest.
        unsafe {
            match self.random.below(4) {
                0 => hypercall(number, self.memory.inside(&mut self.random)),
                1 => asm!("out dx, al", in("dx") call, in("al") 0u8),
                2 => asm!("out dx, ax", in("dx") call, in("ax") 0u16),
                _ => asm!("in eax, dx", in("dx") call, out("eax") _),
            }
        }
    }

    /// Writes the words somewhere and makes the call.
    fn call(&mut self, number: u16, words: [u64; 4]) {
        let at = self.place(64);
        let structure = core::ptr::with_exposed_provenance_mut::<[u64; 4]>(at as usize);
        // SAFETY: free memory, with room for it.
        unsafe { structure.write_unaligned(words) };
        hypercall(number, at);
    }

    /// Free memory with room for so many bytes.
    fn place(&mut self, room: u64) -> u64 {
        self.memory.inside(&mut self.random).min(self.end - room)
    }

    /// Just below the end, or anywhere behind it.
    fn beyond(&mut self) -> u64 {
        if self.random.once_in(2) {
            self.end - self.random.below(64)
        } else {
            self.random.number() | self.end
        }
    }

    /// One of the devices most often.
    fn handle(&mut self) -> u64 {
        match self.random.below(8) {
            0 => self.random.number(),
            1 => self.random.below(66),
            n => self.handles[(n & 1) as usize],
        }
    }

    /// An offset or length: of whole sectors inside of the disk, near its end, or any.
    fn number(&mut self) -> u64 {
        match self.random.below(4) {
            0 => self.random.number(),
            1 => self.capacity.wrapping_sub(self.random.below(1024)),
            _ => self.random.below(self.capacity / 512 + 2) * 512,
        }
    }
}
