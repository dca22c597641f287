//! Network namespaces, tap devices, redirects: synchronous rtnetlink.
