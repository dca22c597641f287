//! What becomes of config.json's mounts: listed, or refused by name.
