//! Who a process is: ids, groups, capabilities, limits.
