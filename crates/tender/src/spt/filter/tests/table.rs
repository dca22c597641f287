//! `calls.txt`, the calls that a guest may make, and the classes of values that its arguments are tried with.

use std::collections::BTreeSet;

use super::{CAPACITY, DISK, EPOLL, NET, SECTOR, TIMER};
use urunc_plan::syscalls::Abi;

const TEXT: &str = include_str!("../calls.txt");

/// Words of the table and what they are for the program under test.
const WORDS: [(&str, u64); 11] = [
    ("stdout", 1),
    ("net", NET.unsigned_abs() as u64),
    ("disk", DISK.unsigned_abs() as u64),
    ("epoll", EPOLL.unsigned_abs() as u64),
    ("timer", TIMER.unsigned_abs() as u64),
    ("sector", SECTOR as u64),
    ("last", CAPACITY - SECTOR as u64),
    ("realtime", 0),
    ("monotonic", 1),
    ("set_fs", 0x1002),
    ("none", 0),
];

/// An argument that a row pins.
struct Pin {
    arg: usize,
    at_most: bool,
    value: u64,
}

struct Row {
    number: u32,
    pins: Vec<Pin>,
}

/// The rows of one architecture.
pub(super) struct Table {
    rows: Vec<Row>,
    /// Numbers that the kernel never shows to a filter.
    pub(super) unfiltered: BTreeSet<u32>,
}

impl Table {
    pub(super) fn of(abi: Abi) -> Self {
        let column = if abi == Abi::X86_64 { 1 } else { 2 };
        let mut table = Self { rows: Vec::new(), unfiltered: BTreeSet::new() };
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Ok(number) = words[column].parse() else { continue };
            if words[3..] == ["unfiltered"] {
                table.unfiltered.insert(number);
                continue;
            }
            assert_eq!(abi.number(words[0]), Some(number), "{line}");
            table.rows.push(Row { number, pins: words[3..].iter().map(|text| pin(text)).collect() });
        }
        table
    }

    pub(super) fn allows(&self, number: u32, args: &[u64; 6]) -> bool {
        let holds = |pin: &Pin| {
            let value = args[pin.arg];
            if pin.at_most { value <= pin.value } else { value == pin.value }
        };
        self.rows.iter().any(|row| row.number == number && row.pins.iter().all(holds))
    }

    pub(super) fn numbers(&self) -> BTreeSet<u32> {
        self.rows.iter().map(|row| row.number).collect()
    }

    /// A call that each row allows.
    pub(super) fn good_calls(&self) -> Vec<(u32, [u64; 6])> {
        let good = |row: &Row| {
            let mut args = [0; 6];
            row.pins.iter().for_each(|pin| args[pin.arg] = pin.value);
            (row.number, args)
        };
        self.rows.iter().map(good).collect()
    }

    /// The arguments of [`Table::good_calls`], and the same with one of them exchanged for each of `values`.
    pub(super) fn vectors(&self, values: &[u64]) -> Vec<[u64; 6]> {
        let mut vectors = BTreeSet::new();
        for (_, good) in self.good_calls() {
            for arg in 0..6 {
                vectors.extend(values.iter().map(|value| {
                    let mut args = good;
                    args[arg] = *value;
                    args
                }));
            }
        }
        vectors.into_iter().collect()
    }
}

fn pin(text: &str) -> Pin {
    let at_most = text.contains("<=");
    let (arg, word) = text.split_once(if at_most { "<=" } else { "=" }).unwrap();
    let value = WORDS.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("{text}")).1;
    Pin { arg: arg.parse().unwrap(), at_most, value }
}

/// Every pinned value, its neighbours, the same with other upper bits, only in the upper half, and inverted; ends of
/// ranges.
pub(super) fn values() -> Vec<u64> {
    let around = |(_, value): (&str, u64)| {
        let wide = [value | 1 << 31, value | 1 << 32, value | 1 << 63, value | 0xffff_ffff << 32];
        [value, value.wrapping_sub(1), value + 1, value << 32, !value, value & 0xffff_ffff]
            .into_iter()
            .chain(wide)
    };
    let ends = [u64::from(u32::MAX), 1 << 31, 1 << 32, 1 << 63, i64::MAX.cast_unsigned(), u64::MAX];
    let all: BTreeSet<u64> =
        WORDS.into_iter().flat_map(around).chain(ends).chain([CAPACITY, CAPACITY + 1]).collect();
    all.into_iter().collect()
}
