#!/bin/bash
# miri.sh [FILTER]: the tests of the pure code in Miri, which finds undefined behaviour and what depends on luck. The
# planner has no unsafe code, so this is about its dependencies and about bounds that no property reaches. Each property
# gets a few cases only: Miri is a thousand times slower.
set -euo pipefail
cd "$(dirname "$0")/.."
nightly=$(sed -n 's/^channel = "\(.*\)"$/\1/p' fuzz/rust-toolchain.toml)
# Golden cases are files, and proptest's settings are variables.
export MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=${PROPTEST_CASES:-4} RUSTUP_TOOLCHAIN=$nightly
exec cargo miri test --quiet --locked --target-dir target/miri -p urunc-plan --lib --test kernel --test network --test solo5 "$@"
