//! Linux mechanisms: knows no guest and no monitor.
