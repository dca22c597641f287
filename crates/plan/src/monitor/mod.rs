//! Monitors: one file per program, one registry line each.
