//! A guest command line under construction: validated, with a length limit.
