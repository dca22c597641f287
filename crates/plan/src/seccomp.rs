//! OCI seccomp profiles and our own lists, compiled to BPF.
