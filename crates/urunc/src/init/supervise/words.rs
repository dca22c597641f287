//! What init can say to `start` of a monitor that has to greet.

use urunc_plan::supervision::Text;

use crate::handshake::{self, Message};

/// Frames, made while they can be made.
#[derive(Clone, Copy, Default)]
pub(super) struct Words {
    pub(super) ready: Text<32>,
    pub(super) ended: Text<160>,
    pub(super) no_greeting: Text<160>,
    pub(super) too_late: Text<160>,
}

impl Words {
    /// Of the monitor with this name, which gets `patience` seconds.
    pub(super) fn new(monitor: &str, patience: u64) -> anyhow::Result<Self> {
        let failed = |why: &str| {
            let message = format!("{monitor} {why}");
            Ok::<_, anyhow::Error>(Text::cut(&handshake::frame(&Message::Failed {
                step: "monitor".into(),
                message,
            })?))
        };
        Ok(Self {
            ready: Text::cut(&handshake::frame(&Message::Ready)?),
            ended: failed("ended before its QMP greeting")?,
            no_greeting: failed("gave no QMP greeting")?,
            too_late: failed(&format!("gave no QMP greeting within {patience} s"))?,
        })
    }
}
