//! The state directory: intent before the first side effect, the truth about the process afterwards.

mod container;
mod life;
mod record;
mod store;

pub use container::{Container, SOCKET, is_unread};
pub use life::{Life, oci_state};
pub use record::{Phase, Record, SUPERVISES, Status, VERSION};
pub use store::{FOREIGN, Store};
