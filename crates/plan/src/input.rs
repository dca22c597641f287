//! What a plan is made from: the request (config.json and image keys), the host and the network, as plain data.

mod host;
mod network;
mod request;

pub use host::{CgroupFacts, CgroupMount, HostFacts, KvmFacts, MonitorFacts};
pub use network::{Ingress, Listener, NatFacts, NatRule, Neighbour, NetDevice, NetFacts, Route};
pub use request::{BlockFacts, ImageKeys, Mount, Namespace, NamespaceKind, Request, Rlimit, User};
