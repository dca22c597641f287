//! Random system calls. Command line: `SEED COUNT` for calls that the filter lets through, then 0; `SEED` alone for one
//! that it does not: dies of SIGSYS (159).
#![no_std]
#![no_main]

use hostile::{Memory, Random, on_own_stack};
use solo5::{BootInfo, exit, println, raw_with};

solo5::guest!(main, block "storage", net "service");

const STDOUT: u64 = 1;
const ARCH_SET_FS: u64 = 0x1002;
const EXIT_GROUP: u64 = 231;
const GETPID: u64 = 39;
/// What the filter judges by its arguments.
const LISTED: [u64; 8] = [0, 1, 17, 18, 158, 228, 281, 286];
/// `uretprobe` and `uprobe`: the kernel answers them before any filter.
const UNFILTERED: [u64; 2] = [335, 336];

fn main(info: &'static BootInfo) -> u8 {
    on_own_stack(run, info)
}

extern "C" fn run(info: &'static BootInfo) -> ! {
    let mut numbers = info.cmdline().split(' ').filter_map(|word| word.parse().ok());
    let (Some(seed), count) = (numbers.next(), numbers.next()) else { exit(1) };
    let Some(mut guest) = Guest::new(info, seed) else { exit(1) };
    let Some(count) = count else {
        guest.forbidden();
        println!("still alive");
        exit(2)
    };
    for _ in 0..count {
        guest.allowed();
    }
    println!("\nmade {count} calls");
    exit(0)
}

struct Guest {
    random: Random,
    memory: Memory,
    epoll: u64,
    timer: u64,
    net: u64,
    disk: u64,
    capacity: u64,
    sector: u64,
}

impl Guest {
    fn new(info: &'static BootInfo, seed: u64) -> Option<Self> {
        let (disk, net) = (info.device("storage")?, info.device("service")?);
        Some(Self {
            random: Random(seed),
            memory: Memory::new(info, main as fn(&'static BootInfo) -> u8 as usize as u64),
            epoll: u64::from(info.epoll_fd.unsigned_abs()),
            timer: u64::from(info.timer_fd.unsigned_abs()),
            net: net.fd(),
            disk: disk.fd(),
            capacity: disk.capacity(),
            sector: disk.sector_size(),
        })
    }

    /// A call that the filter lets through, with any arguments but those that would end or block the guest.
    fn allowed(&mut self) {
        let mut args: [u64; 6] = core::array::from_fn(|_| self.random.number());
        let address = self.memory.address(&mut self.random);
        let number = match self.random.below(32) {
            0..6 => {
                (args[0], args[1]) = (self.random.below(2), address);
                228
            }
            6..12 => {
                args[0] = self.timer;
                args[1] = if self.random.once_in(8) { args[1] } else { self.random.below(4) };
                (args[2], args[3]) = (self.memory.address(&mut self.random), address);
                286
            }
            12..20 => {
                // Nobody might wake it: it waits for a millisecond at most. The timeout is an int.
                let wait = u64::from(self.random.once_in(4096));
                let most = if self.random.once_in(8) { args[2] } else { self.random.below(4) };
                args = [self.epoll, address, most, args[3] << 32 | wait, 0, args[5]];
                281
            }
            20..24 => {
                (args[0], args[1]) = (ARCH_SET_FS, address);
                158
            }
            24..28 => {
                let offset = self.random.below(self.capacity - self.sector + 1);
                args = [self.disk, address, self.sector, offset, args[4], args[5]];
                17 + self.random.below(2)
            }
            28 => {
                (args[0], args[1], args[2]) = (self.net, address, self.random.below(2048));
                0
            }
            last => {
                let (from, length) = self.bytes(address);
                (args[0], args[1], args[2]) = ([STDOUT, self.net][(last & 1) as usize], from, length);
                1
            }
        };
        raw_with(number, args);
    }

    /// What to write: few bytes most often, and any length where memory ends soon.
    fn bytes(&mut self, address: u64) -> (u64, u64) {
        match self.random.below(64) {
            0 => (address, self.random.below(1 << 17)),
            1 => (self.memory.edge(&mut self.random), self.random.number() >> self.random.below(64)),
            2..16 => (address, self.random.below(2048)),
            _ => (address, self.random.below(64)),
        }
    }

    /// A call that the filter does not let through: one of the nine with one argument wrong, or any other number.
    fn forbidden(&mut self) {
        let mut args: [u64; 6] = core::array::from_fn(|_| match self.random.below(4) {
            0 => self.random.number(),
            1 => self.memory.address(&mut self.random),
            _ => self.random.below(1024),
        });
        let number = match self.random.below(4) {
            0 => {
                let number = self.near_miss(&mut args);
                raw_with(number, args);
                return;
            }
            1 => self.random.number(),
            2 => self.random.below(512) | 1 << 30,
            _ => self.random.below(512),
        };
        let lower = number & 0xffff_ffff;
        if lower == EXIT_GROUP || UNFILTERED.contains(&lower) {
            raw_with(GETPID, args);
        }
        // Out of reach of every descriptor and clock.
        args[0] |= if LISTED.contains(&lower) { 1 << 63 } else { 0 };
        raw_with(number, args);
    }

    /// A number of the nine, and arguments of which one is not as it must be.
    fn near_miss(&mut self, args: &mut [u64; 6]) -> u64 {
        let bit = 1 << self.random.below(64);
        match self.random.below(9) {
            0 => {
                (args[0], args[2], args[3]) = (self.disk, self.sector ^ bit, 0);
                17 + (bit & 1)
            }
            1 => {
                let beyond = self.random.number() % (1 << 62);
                (args[0], args[2], args[3]) =
                    (self.disk, self.sector, self.capacity - self.sector + 1 + beyond);
                17 + (bit & 1)
            }
            2 => {
                (args[0], args[4]) = (self.epoll, self.random.number() | 1);
                281
            }
            3 => {
                args[0] = self.epoll ^ bit;
                281
            }
            4 => {
                args[0] = [0, 2, self.disk, self.epoll, self.timer][self.random.below(5) as usize];
                1
            }
            5 => {
                args[0] = self.net ^ bit;
                0
            }
            6 => {
                args[0] = 2 + self.random.below(1000);
                228
            }
            7 => {
                args[0] = ARCH_SET_FS ^ bit;
                158
            }
            _ => {
                args[0] = self.timer ^ bit;
                286
            }
        }
    }
}
