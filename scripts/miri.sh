#!/bin/bash
# miri.sh: tests of the pure code in Miri, which finds undefined behaviour and what depends on luck. The planner has no
# unsafe code, so this is about its dependencies and about arithmetic on foreign numbers. Each property gets a few cases,
# and what runs for minutes is left out: Miri is a thousand times slower.
set -euo pipefail
cd "$(dirname "$0")/.."
RUSTUP_TOOLCHAIN=$(sed -n 's/^channel = "\(.*\)"$/\1/p' fuzz/rust-toolchain.toml)
# Properties keep their seeds in files, and their settings are variables. Tests leak names on purpose.
export RUSTUP_TOOLCHAIN MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks" PROPTEST_CASES=${PROPTEST_CASES:-2}

# Whole tables, every value of a range, text by regular expressions.
slow=(any_text cut_anywhere every_action every_operator every_truncation facts_never_panic known_numbers)
slow+=(names_and_numbers numbers_agree precedence_of_rules processors_processes refusals_name search_crosses table_is_sorted)
slow+=(translations compiled_program each_defect)

exec cargo miri test --quiet --locked --target-dir target/miri -p urunc-plan \
    --lib --test kernel --test network --test solo5 -- "${slow[@]/#/--skip=}"
