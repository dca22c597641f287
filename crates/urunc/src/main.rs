//! The `urunc` command.

fn main() {}
