//! The `urunc` command: command line, facts, life cycle.

pub mod bundle;
pub mod cli;
pub mod command;
pub mod console;
pub mod delegate;
pub mod exit;
pub mod facts;
pub mod features;
pub mod handshake;
pub mod hooks;
pub mod init;
pub mod jail;
pub mod log;
pub mod namespaces;
pub mod network;
pub mod seal;
pub mod settings;
pub mod signals;
pub mod spec;
pub mod state;
pub mod table;
pub mod time;
pub mod undo;
pub mod users;

mod dispatch;

pub use dispatch::main;
