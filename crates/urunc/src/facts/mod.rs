//! Facts of the host: gathered here, judged in `plan`.
