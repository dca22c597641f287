//! The only judge of a guest and monitor pair.
