//! Where a runtime is known not to do what a case asks: each row says why, and the suite fails when it is no longer so.

use crate::sandbox::Flavour;

/// (runtime, case, reason).
const DIFFERENCES: &[(Flavour, &str, &str)] = &[];

/// Why `case` does not hold for `flavour`, if it is known not to.
pub fn reason(flavour: Flavour, case: &str) -> Option<&'static str> {
    DIFFERENCES.iter().find(|(f, name, _)| *f == flavour && *name == case).map(|(_, _, reason)| *reason)
}
