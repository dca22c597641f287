//! Log lines as runc writes them.
