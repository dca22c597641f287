//! The group `chaos`: random kills, random clients, `SEED=N` repeats a run, `STORM=N` divides the
//! numbers by N, `KILLS=N` kills in N per cent of the lives (default 5).

mod clients;
pub(crate) mod kills;
mod model;

use crate::harness::Case;

/// All cases of the group.
pub fn cases() -> Vec<Case> {
    let mut cases = kills::cases();
    cases.extend(clients::cases());
    cases
}

/// A number from the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// `count` divided by `STORM`, at least one.
pub(crate) fn scaled(count: u64) -> u64 {
    (count / number("STORM").unwrap_or(1).max(1)).max(1)
}

/// Random numbers that a seed repeats: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From `SEED`, or from the clock; says which.
    pub(crate) fn new() -> Self {
        let clock = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| u64::from(t.subsec_nanos()));
        let seed = number("SEED").unwrap_or_else(clock);
        eprintln!("SEED={seed}");
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }
}
