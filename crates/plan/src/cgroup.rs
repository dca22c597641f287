//! `linux.resources` and `cgroupsPath` to directories and ordered (file, value) lists.
