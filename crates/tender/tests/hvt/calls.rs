//! Addresses, lengths and handles of hypercalls: what is not the guest's ends it or is refused, and nothing else happens.

use crate::guest::{CALL, DATA, Step, call, image};
use crate::run::{End, Guest};

crate::tests! {
    structures_outside_of_memory, data_outside_of_memory, results_into_text, data_into_text, unknown_handles,
    the_clocks_answer,
}

const END: u64 = 16 << 20;
const TEXT: u64 = 0x10_0000;
/// Bytes of the structure of each hypercall, from 1 on.
const SIZES: [u64; 8] = [8, 16, 20, 36, 36, 28, 28, 16];

/// How a guest with a disk and a network device ends that performs the steps.
fn run(steps: &[Step]) -> End {
    let mut image = image(steps, b"data");
    image.devices = vec![("storage", false), ("service", true)];
    let disk = Guest::new(&image).disk("storage", &[b'.'; 2048], true);
    let (guest, _socket) = crate::devices::net(disk);
    guest.run()
}

/// The guest ends with a line about this hypercall.
fn is_fatal(steps: &[Step], number: u64) {
    let end = run(steps);
    let expected = format!("ready\nsolo5-hvt: hypercall {number}: address ");
    assert!(end.code == 1 && end.out.is_empty() && end.err.starts_with(&expected), "{steps:?}: {end:?}");
}

fn structures_outside_of_memory() {
    for (number, size) in (1..).zip(SIZES) {
        let beyond = [END, END - size + 1, END - 1, END + 4096, 0x8000_0000, u64::from(u32::MAX)];
        for at in beyond {
            is_fatal(&[Step::Call(number, at)], number);
        }
    }
    // The last bytes are memory.
    let at = END - SIZES[1];
    let steps = [Step::Set(at, DATA), Step::Set(at + 8, 4), Step::Call(2, at)];
    assert_eq!(run(&steps).out, "data");
}

/// Ends of ranges, wraps and lengths that no range has.
const BEYOND: [(u64, u64); 9] = [
    (END, 1),
    (END - 1, 2),
    (END - 512, 1024),
    (0, END + 1),
    (1 << 32, 4),
    (u64::MAX, 1),
    (u64::MAX, u64::MAX),
    (u64::MAX - 511, 512),
    (DATA, u64::MAX),
];

fn data_outside_of_memory() {
    for (data, len) in BEYOND {
        is_fatal(&call(2, &[data, len]), 2);
        is_fatal(&call(6, &[2, data, len]), 6);
        is_fatal(&call(7, &[2, data, len]), 7);
    }
    // A disk's length is looked at first.
    for data in [END, END - 511, 1 << 32, u64::MAX, u64::MAX - 511] {
        for number in [4, 5] {
            is_fatal(&call(number, &[1, 0, data, 512]), number);
        }
    }
    // At the end, and of no length.
    for (data, len) in [(END, 0), (END - 4, 4), (0, 0)] {
        assert_eq!(run(&call(2, &[data, len])).code, 0, "{data:#x} {len}");
    }
}

/// Text and constants are not written by the tender either.
fn results_into_text() {
    for number in [1, 3, 4, 5, 6, 7] {
        is_fatal(&[Step::Call(number, TEXT)], number);
        // Across the border of text and what lies in front of it.
        is_fatal(&[Step::Call(number, TEXT - 4)], number);
    }
}

fn data_into_text() {
    for data in [TEXT, TEXT - 511, TEXT + 0xfff] {
        is_fatal(&call(5, &[1, 0, data, 512]), 5);
        is_fatal(&call(7, &[2, data, 512]), 7);
    }
}

fn unknown_handles() {
    for handle in [0, 3, 63, 64, 65, 1 << 31, 1 << 32, u64::MAX] {
        for number in [4, 5] {
            let steps = [call(number, &[handle, 0, DATA, 512, 7]), vec![Step::Expect32(CALL + 32, 2)]];
            assert_eq!(run(&steps.concat()).code, 0, "{number} {handle:#x}");
        }
        for number in [6, 7] {
            let steps = [call(number, &[handle, DATA, 4, 7]), vec![Step::Expect32(CALL + 24, 2)]];
            assert_eq!(run(&steps.concat()).code, 0, "{number} {handle:#x}");
        }
    }
    // A disk is no network device, and the other way round.
    let steps = [
        call(4, &[2, 0, DATA, 512, 7]),
        vec![Step::Expect32(CALL + 32, 2)],
        call(6, &[1, DATA, 4, 7]),
        vec![Step::Expect32(CALL + 24, 2)],
    ];
    assert_eq!(run(&steps.concat()).code, 0);
}

/// The wall clock's upper half, and a rate of the processor's.
fn the_clocks_answer() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let steps = [vec![Step::Call(1, DATA)], call(2, &[DATA, 8]), call(2, &[0x1_0010, 8])].concat();
    let said = Guest::new(&image(&steps, b"")).output();
    let [wall, rate] = [&said[..8], &said[8..]].map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    assert!(wall.abs_diff(now) < 600_000_000_000, "{wall} {now}");
    assert!((100_000_000..20_000_000_000).contains(&rate), "{rate}");
}
