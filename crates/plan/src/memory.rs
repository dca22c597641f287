//! The memory limit split into guest RAM and monitor overhead.
