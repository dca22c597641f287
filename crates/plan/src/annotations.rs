//! Image keys: decoding, precedence, validation.
