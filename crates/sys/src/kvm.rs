//! Does /dev/kvm run real guests?
