//! A plan as text, every leaf with its source.
