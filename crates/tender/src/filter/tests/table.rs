//! `spt.txt` and `hvt.txt`, the calls that are let through, and the classes of values that its arguments are tried with.

use std::collections::BTreeSet;

use super::{CAPACITY, DISK, EPOLL, NET, PROCESSOR, SECTOR, Subject, TIMER};
use urunc_plan::syscalls::Abi;

/// Words of the tables and what they are for the programs under test.
const WORDS: [(&str, u64); 16] = [
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
    ("stderr", 2),
    ("processor", PROCESSOR.unsigned_abs() as u64),
    ("run", 0xae80),
    ("events", 64),
    ("forever", u64::MAX),
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
    pub(super) fn of(subject: Subject, abi: Abi) -> Self {
        let column = if abi == Abi::X86_64 { 1 } else { 2 };
        let mut table = Self { rows: Vec::new(), unfiltered: BTreeSet::new() };
        for line in subject.text().lines().filter(|line| !line.starts_with('#')) {
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

    /// Classes of every pinned value, and ends of ranges.
    pub(super) fn values(&self) -> Vec<u64> {
        let ends = [u64::from(u32::MAX), 1 << 31, 1 << 32, 1 << 63, i64::MAX.cast_unsigned(), u64::MAX];
        let pinned = self.rows.iter().flat_map(|row| &row.pins).map(|pin| pin.value);
        let all: BTreeSet<u64> =
            pinned.flat_map(around).chain(ends).chain([0, CAPACITY, CAPACITY + 1]).collect();
        all.into_iter().collect()
    }

    /// The arguments of [`Table::good_calls`], and the same with one of them exchanged for each of the values.
    pub(super) fn vectors(&self) -> Vec<[u64; 6]> {
        let values = self.values();
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

/// The value itself, its neighbours, the same with other upper bits, only in the upper half, and inverted.
fn around(value: u64) -> impl Iterator<Item = u64> {
    let wide = [value | 1 << 31, value | 1 << 32, value | 1 << 63, value | 0xffff_ffff << 32];
    let near =
        [value, value.wrapping_sub(1), value.wrapping_add(1), value << 32, !value, value & 0xffff_ffff];
    near.into_iter().chain(wide)
}

fn pin(text: &str) -> Pin {
    let at_most = text.contains("<=");
    let (arg, word) = text.split_once(if at_most { "<=" } else { "=" }).unwrap();
    let value = WORDS.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("{text}")).1;
    Pin { arg: arg.parse().unwrap(), at_most, value }
}
