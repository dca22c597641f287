//! `urunc spec`: a config.json to start from.
