//! Facts of the host: gathered here, judged in `plan`.

pub mod library;
pub mod monitor;
