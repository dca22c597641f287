//! /etc/urunc/config.toml.
