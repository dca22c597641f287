//! System call numbers by name and architecture.
