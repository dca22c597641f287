//! The private root: mounts from descriptors, pivot_root.
