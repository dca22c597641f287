//! What a running tender holds, and what its guest sees of the processor.

use crate::guest::{DATA, Step, call, image, print, wait};
use crate::run::Guest;

crate::tests! {
    only_its_own_descriptors_are_open, the_guests_memory_is_no_code_of_this_process, guests_stay_out_of_core_dumps,
    an_idle_guest_is_small, ps_shows_name_and_command_line, the_processor_has_no_machines_of_its_own,
}

fn idle(mib: u64) -> Guest {
    let mut guest = Guest::new(&image(&[print(5), wait()].concat(), b"idle\n"));
    guest.orders.plan.memory_mib = mib;
    guest
}

fn only_its_own_descriptors_are_open() {
    let mut image = image(&[print(5), wait()].concat(), b"idle\n");
    image.devices = vec![("storage", false)];
    let guest = Guest::new(&image).disk("storage", &[0; 512], true);
    let file = guest.path("storage");
    let guest = guest.start();
    let expected = [&file, "anon_inode:[eventpoll]", "anon_inode:[timerfd]", "anon_inode:kvm-vcpu:0"];
    assert_eq!(guest.descriptors(), expected);
    guest.stop(libc::SIGTERM);
}

/// The largest anonymous mappings are the guest's: text and constants are not written in this process either.
fn the_guests_memory_is_no_code_of_this_process() {
    let guest = idle(64).start();
    let maps = guest.proc("maps");
    let parse = |line: &str| {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        (start, end, rest[..4].to_owned())
    };
    let all: Vec<_> = maps.lines().map(parse).collect();
    for (start, _, flags) in &all {
        assert!(!(flags.contains('w') && flags.contains('x')), "{start:#x} {flags}");
    }
    let last = all.iter().max_by_key(|(start, end, _)| end - start).unwrap();
    let base = last.1 - (64 << 20);
    let own: Vec<_> = all.iter().filter(|(start, ..)| (base..last.1).contains(start)).collect();
    let shown: Vec<_> = own.iter().map(|(start, _, flags)| (start - base, flags.as_str())).collect();
    // In front of the image, its text, the rest.
    assert_eq!(shown, [(0, "rw-p"), (0x10_0000, "r--p"), (0x10_1000, "rw-p")]);
    guest.stop(libc::SIGTERM);
}

fn guests_stay_out_of_core_dumps() {
    let guest = idle(64).start();
    let smaps = guest.proc("smaps");
    let mut left_out = 0;
    let mut size = 0;
    for line in smaps.lines() {
        if let Some(rest) = line.strip_prefix("Size:") {
            size = rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
        if line
            .strip_prefix("VmFlags:")
            .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "dd"))
        {
            left_out += size;
        }
    }
    assert!(left_out >= 64 << 10, "{left_out} KiB");
    guest.stop(libc::SIGTERM);
}

/// Beside the program's own pages, which others share with it.
fn an_idle_guest_is_small() {
    let guest = idle(64).start();
    let rollup = guest.proc("smaps_rollup");
    let value = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let own = value("Private_Dirty:") + value("Private_Clean:");
    assert!(own <= 4096, "{rollup}");
    guest.stop(libc::SIGTERM);
}

fn ps_shows_name_and_command_line() {
    let mut guest = idle(16);
    "--ipv4=10.0.0.2/24 -v".clone_into(&mut guest.orders.plan.cmdline);
    let guest = guest.start();
    assert_eq!(guest.proc("comm"), "solo5-hvt\n");
    assert_eq!(guest.proc("cmdline"), "solo5-hvt\0--ipv4=10.0.0.2/24 -v\0");
    guest.stop(libc::SIGTERM);
}

/// Leaf, subleaf, and bits of eax, ebx, ecx and edx that no guest has.
const HIDDEN: [(u64, u64, [u32; 4]); 10] = [
    // VMX, SMX.
    (1, 0, [0, 0, 1 << 5 | 1 << 6, 0]),
    // SGX, HLE, RTM, MPX.
    (7, 0, [0, 1 << 2 | 1 << 4 | 1 << 11 | 1 << 14, 1 << 30, 0]),
    // Performance monitor.
    (0xa, 0, [!0; 4]),
    (0xd, 0, [0x18, 0, 0, 0]),
    (0x12, 0, [!0; 4]),
    // KVM's own.
    (0x4000_0000, 0, [!0; 4]),
    // SVM, SKINIT.
    (0x8000_0001, 0, [0, 0, 1 << 2 | 1 << 12, 0]),
    (0x8000_000a, 0, [!0; 4]),
    (0x8000_001f, 0, [!0; 4]),
    (0x8000_0022, 0, [!0; 4]),
];

/// What the guest prints is what `cpuid` gave it.
fn the_processor_has_no_machines_of_its_own() {
    let leaves = [0, 0x8000_0000].map(|leaf| (leaf, 0)).into_iter();
    let leaves: Vec<_> = leaves.chain(HIDDEN.map(|(leaf, subleaf, _)| (leaf, subleaf))).collect();
    let ask = (DATA..).step_by(16).zip(&leaves).map(|(at, (leaf, subleaf))| Step::Cpuid(*leaf, *subleaf, at));
    let steps = ask.chain(call(2, &[DATA, leaves.len() as u64 * 16])).collect::<Vec<_>>();
    let said = Guest::new(&image(&steps, &[0; 512])).output();
    let words: Vec<u32> =
        said.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    let answers: Vec<[u32; 4]> = words.chunks_exact(4).map(|answer| answer.try_into().unwrap()).collect();
    assert_eq!(answers.len(), leaves.len());
    let (basic, extended) = (answers[0][0], answers[1][0]);
    assert!(basic >= 1 && extended >= 0x8000_0001, "{basic:#x} {extended:#x}");
    for ((leaf, _, bits), answer) in HIDDEN.iter().zip(&answers[2..]) {
        // Beyond the last leaf of a range processors answer with another one.
        let there = u64::from(if *leaf >= 0x8000_0000 { extended } else { basic }) >= *leaf;
        let hypervisor = (0x4000_0000..0x5000_0000).contains(leaf);
        if there || hypervisor {
            let seen: Vec<u32> = answer.iter().zip(bits).map(|(answer, bits)| answer & bits).collect();
            assert_eq!(seen, [0; 4], "leaf {leaf:#x}: {answer:x?}");
        }
    }
}
