//! Pure decisions of urunc: `plan(request, host facts, net facts) -> LaunchPlan`. No I/O, no unsafe, no globals but
//! the two registries.
#![forbid(unsafe_code)]

/// A registry: one line makes a module and an entry.
macro_rules! registry {
    ($kind:ident: $($module:ident::$entry:ident,)*) => {
        $(mod $module;)*

        /// All of them, by name.
        pub static ALL: &[&dyn $kind] = &[$(&$module::$entry),*];
    };
}

mod acceleration;
pub mod annotations;
pub mod attach;
pub mod bpf;
pub mod capabilities;
pub mod cgroup;
pub mod cmdline;
pub mod command;
pub mod cpio;
pub mod decide;
pub mod devices;
pub mod error;
pub mod field;
pub mod guest;
mod initrd;
pub mod input;
pub mod jail;
pub mod kernel;
pub mod knative;
pub mod launch;
pub mod look;
pub mod machine;
pub mod memory;
pub mod monitor;
pub mod mounts;
pub mod namespaces;
pub mod negotiate;
pub mod network;
mod notices;
pub mod ordinary;
pub mod provenance;
pub mod read;
pub mod seccomp;
pub mod security;
pub mod settings;
pub mod show;
pub mod solo5;
pub mod supervision;
pub mod syscalls;
pub mod sysctl;
pub mod undo;
pub mod users;
pub mod version;

pub use error::PlanError;
pub use input::{HostFacts, NetFacts, Request};
pub use launch::LaunchPlan;

/// Format version of [`LaunchPlan`].
pub const PLAN_VERSION: u32 = 1;
/// Standard error of an exec'ed monitor, on the private tmpfs.
pub const MONITOR_LOG: &str = "/run/monitor.log";
/// Prefix of every image key.
pub const KEY_PREFIX: &str = "com.urunc.unikernel.";
