//! Which device the guest is connected to, and as what.
