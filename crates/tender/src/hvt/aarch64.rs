//! The guest's first state on aarch64: not built yet.

use super::kvm::{Device, Processor};
use crate::TenderError;
use crate::load::Memory;

/// This architecture can be a guest's.
pub(super) const IS_BUILT: bool = false;

/// Never called: see [`IS_BUILT`].
pub(super) fn prepare(_: &Device, _: &Processor, _: &mut Memory, _: u64) -> Result<(), TenderError> {
    Err(TenderError::Host("no registers".to_owned()))
}
