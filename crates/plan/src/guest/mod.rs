//! Guests: one file per kind, one registry line each.
