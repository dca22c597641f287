//! The group `faults`: hosts, engines and disks that fail. Each command succeeds or fails with one line, one
//! `delete --force` then reaches the ledger before, and a failed command never hurts a running guest. `EVERY=1` takes
//! every length, bit and limit where some of them do.
//!
//! The number in a name is that of the fault in the list the project works through. Not here:
//!
//! | fault | where |
//! |---|---|
//! | 1 to 6: death of the runtime, of init, of both at each call | `tests/sweep`; groups `crash`, `crash-guest`, `chaos` |
//! | 18: the engine restarts | `tests/docker`: no command of ours depends on it |
//! | 25 to 30, 36, 37, 42: EINTR, EAGAIN, ENOMEM, EIO, EPERM, ENOSYS, ENFILE at each call | `tests/sweep` |
//! | 49: no space for a group | `tests/sweep`: `mkdirat` answered with ENOSPC |
//! | 50: the systemd driver | refused by name: `review/options-that-are-not-built-are-refused-in-words` |
//! | 53, 55: a tap's name and an ingress that are taken | `bad-net` |
//! | 56: an answer of netlink that is lost, cut or overrun | `tests/sweep`: `recvfrom` with EAGAIN, cut, ENOBUFS; fuzz target `netlink` |
//!
//! Stand-ins: 12 is a process that waits for a FUSE file system nobody answers for; 32 is a file size limit of
//! nought, as kernels without quotas on tmpfs are common; 63 is a record that was made in another year.

mod concurrency;
mod damage;
mod deaths;
mod limits;
mod network;
mod releases;
mod state_root;
mod stuck;
mod surroundings;

use crate::container::Container;
use crate::harness::Case;
use crate::sandbox::Sandbox;

/// A case that is a function.
type Entry = (&'static str, fn(&Sandbox));

/// All cases of the group.
pub fn cases() -> Vec<Case> {
    let tables: [&[Entry]; 9] = [
        deaths::CASES,
        concurrency::CASES,
        state_root::CASES,
        damage::CASES,
        limits::CASES,
        stuck::CASES,
        surroundings::CASES,
        network::CASES,
        releases::CASES,
    ];
    tables.concat().into_iter().map(|(name, run)| Case::new("faults", name, run)).collect()
}

/// One `delete --force` reaches the ledger before.
fn ended(c: &Container<'_>) {
    c.delete_force().ok();
    let left = c.sandbox.leftovers();
    assert!(left.is_empty(), "{left:#?}");
}

/// A container of the own guest that idles.
fn idle<'a>(s: &'a Sandbox, name: &str) -> Container<'a> {
    s.container(name, &s.bundle(name).spt("idle"))
}
