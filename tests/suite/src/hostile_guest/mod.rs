//! Guests on the built-in monitor that do what no guest should: each ends with a documented code, says nothing in the
//! kernel's log beyond its own death, and leaves nothing. `SEED=N` searches elsewhere, `STORM=N` divides the numbers
//! by N.

mod calls;
mod faults;

use crate::chaos::number;
use crate::harness::Case;
use crate::kernel_log::KernelLog;
use crate::sandbox::Sandbox;

const GROUP: &str = "hostile-guest";

/// All cases of the group.
pub fn cases() -> Vec<Case> {
    let mut cases = faults::cases();
    cases.extend(calls::cases());
    cases
}

/// A case that also fails on an alarm in the kernel's log.
fn case(name: String, run: impl Fn(&Sandbox) + Send + Sync + 'static) -> Case {
    Case::new(GROUP, name, move |s| {
        let mut log = KernelLog::open();
        run(s);
        let alarms = log.alarms();
        assert!(alarms.is_empty(), "{alarms:#?}");
        let left = s.leftovers();
        assert!(left.is_empty(), "{left:#?}");
    })
}

/// Where random cases begin: the same place in every run, unless `SEED` says another.
fn seed() -> u64 {
    number("SEED").unwrap_or(20_261_121)
}
