//! The built-in Solo5 monitor.
