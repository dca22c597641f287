//! The one pure function: `plan`.
