//! The `urunc` command: command line, facts, life cycle.

pub mod bundle;
pub mod cli;
pub mod facts;
pub mod features;
pub mod log;
pub mod settings;
pub mod signals;
pub mod spec;
pub mod table;
pub mod time;
