//! The declarative command table, and argv against it.
