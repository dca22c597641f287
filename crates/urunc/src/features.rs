//! `urunc features`: what a test proves.
