//! Frames and descriptors over a Unix socket.
