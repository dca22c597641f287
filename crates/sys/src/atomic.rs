//! Files written by rename, directories held by descriptor, locks.
