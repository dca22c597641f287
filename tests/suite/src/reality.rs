//! To come.
pub fn cases() -> Vec<crate::harness::Case> {
    Vec::new()
}
