#!/bin/bash
# fuzz.sh [SECONDS [JOBS]]: every fuzz target for so many seconds (30), so many at a time (2), from SEED (random). What a
# target fails on is printed as base64 and kept in fuzz/artifacts. Without a sanitizer, as the parsers have no unsafe
# code: the checks of the compiler and of the targets find what there is. With one:
# `cargo install cargo-fuzz && cd fuzz && cargo fuzz run NAME`.
set -uo pipefail
cd "$(dirname "$0")/../fuzz"
export seconds=${1:-30} triple=x86_64-unknown-linux-gnu

# What `cargo fuzz build --sanitizer none` sets.
flags=(--cfg fuzzing -Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$option")
done
RUSTFLAGS="${flags[*]}" cargo build --quiet --release --locked --target "$triple" || exit 1

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export logs

# run TARGET: from its committed corpus and from what grew out of it in earlier runs.
run() {
    local dictionary=() log=$logs/$1 grown=target/corpus/$1
    case $1 in
        config | plan | annotations | settings | seccomp) dictionary=(-dict="dictionaries/$1.dict") ;;
        state | handshake) dictionary=(-dict=dictionaries/state.dict) ;;
    esac
    mkdir -p "$grown" "artifacts/$1"
    # A target that has not ended by itself a minute later hangs where libFuzzer does not look.
    timeout -k 10 "$((seconds + 60))" "target/$triple/release/$1" "$grown" "corpus/$1" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -artifact_prefix="artifacts/$1/" \
        -seed="${SEED:-0}" -print_final_stats=1 "${dictionary[@]}" >"$log" 2>&1
    local status=$?
    echo "$1: $(awk '/^stat::number_of_executed_units/ { print $2 }' "$log") runs, $(sed -n 's/^INFO: Seed: /seed /p' "$log")"
    [ "$status" -eq 0 ] && return
    grep -vE "^(#|[[:space:]]+NEW_FUNC)" "$log" | tail -n 50
    echo "$1: FAILED with status $status"
    touch "$log.failed"
}
export -f run

targets=(targets/*.rs)
targets=("${targets[@]#targets/}")
printf '%s\n' "${targets[@]%.rs}" | xargs -P "${2:-2}" -I {} bash -c 'run {}'
failed=$(find "$logs" -name '*.failed' | wc -l)
find artifacts -type d -empty -delete
echo "$((${#targets[@]} - failed)) passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
