//! An ordinary program of the image, as a guest: chosen by the operator, never by an image.

use super::{Boot, Guest};
use crate::PlanError;
use crate::machine::{BootProtocol, Wants};

/// `process`.
#[derive(Debug)]
pub(super) struct Process;

impl Guest for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn wants(&self) -> Wants {
        Wants { boot: &[BootProtocol::Program], ..Wants::NOTHING }
    }

    fn cmdline(&self, _boot: &Boot<'_>) -> Result<String, PlanError> {
        Ok(String::new())
    }
}
