//! Installs compiled filters.
