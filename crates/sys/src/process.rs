//! Processes: clone3, pidfd, start time.
