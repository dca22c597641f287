//! Very many guests that each make one call which the filter does not let through: `spt --forbidden SEED COUNT` forks
//! each from one process, as container init would be its only thread.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};

use urunc_plan::launch::{Target, Tender};
use urunc_tender::{Fds, prepare};

use crate::guest::{DATA, EPOLL, Step, TIMER, image};

crate::tests! { no_random_forbidden_call_returns }

/// Argument that selects this role.
pub const ROLE: &str = "--forbidden";
/// In all, by this many processes.
const CALLS: u64 = 20_000;
const PROCESSES: u64 = 2;
const SEED: u64 = 20_261_121;

/// What the guest without devices may call; the first argument decides (`calls.txt` beside the filter).
const LISTED: [i64; 6] = [
    libc::SYS_write,
    libc::SYS_epoll_pwait,
    libc::SYS_timerfd_settime,
    libc::SYS_clock_gettime,
    libc::SYS_arch_prctl,
    libc::SYS_exit_group,
];
/// `uretprobe` and `uprobe`: the kernel answers them before any filter.
const UNFILTERED: [i64; 2] = [335, 336];

fn no_random_forbidden_call_returns() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let start = |number: u64| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([ROLE, &(seed + number).to_string(), &(CALLS / PROCESSES).to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said == "all killed\n", "{}: {said}", output.status);
    }
}

/// Runs the guests one after the other, until one lives on.
pub fn run(seed: u64, count: u64) -> ! {
    let mut random = Random(seed);
    for index in 0..count {
        let (number, args) = forbidden(&mut random);
        let status = life(&image(&[Step::Try(number, args)], b"").build());
        if !libc::WIFSIGNALED(status) || libc::WTERMSIG(status) != libc::SIGSYS {
            println!("seed {seed}, guest {index}: call {number:#x} with {args:x?}: status {status:#x}");
            std::process::exit(1);
        }
    }
    println!("all killed");
    std::process::exit(0)
}

/// A child that becomes a guest with this image; how it ended.
fn life(image: &[u8]) -> i32 {
    // SAFETY: the name is a C string, the descriptor is ours.
    let kernel = unsafe { OwnedFd::from_raw_fd(libc::memfd_create(c"kernel".as_ptr(), libc::MFD_CLOEXEC)) };
    File::from(kernel.as_fd().try_clone_to_owned().unwrap()).write_all(image).unwrap();
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let plan = Tender { target: Target::Spt, cmdline: String::new(), memory_mib: 4, attach: Vec::new() };
        let ready = prepare(&plan, Fds { kernel, kvm: None, net: Vec::new(), block: Vec::new() }).unwrap();
        ready.enter(|| ());
    }
    let mut status = 0;
    // SAFETY: `status` is writable; the process is our child.
    assert!(pid > 0 && unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid);
    status
}

/// A call that the filter must not let through: any number with any arguments, or a listed one with a wrong first one.
fn forbidden(random: &mut Random) -> (i64, [u64; 6]) {
    let mut args: [u64; 6] = std::array::from_fn(|_| match random.next() % 5 {
        // The guest takes a first byte of 0xee for a name.
        0 => Some(random.next()).filter(|any| any >> 56 != 0xee).unwrap_or(u64::MAX),
        1 => [EPOLL, TIMER][(random.next() % 2) as usize],
        2 => DATA + random.next() % 4096,
        _ => random.next() % 1024,
    });
    let number = match random.next() % 4 {
        0 => LISTED[(random.next() % 5) as usize],
        1 => random.next().cast_signed(),
        2 => (random.next() % 512).cast_signed() | 1 << 30,
        _ => (random.next() % 512).cast_signed(),
    };
    // The kernel takes the lower half of the number.
    let lower = number & 0xffff_ffff;
    if LISTED.contains(&lower) {
        args[0] = 1 << 63 | random.next() >> 8;
    }
    let other = lower == libc::SYS_exit_group || UNFILTERED.contains(&lower);
    (if other { libc::SYS_getpid } else { number }, args)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
