//! config.json: the parts that are read, and their way into a `Request`.
