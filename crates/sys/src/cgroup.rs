//! Cgroup directories: prepare, adopt, remove.
