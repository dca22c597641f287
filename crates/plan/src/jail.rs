//! The monitor's private root, identity and namespaces.
