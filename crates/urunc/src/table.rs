//! Columns for `list` and `ps`.
