#!/bin/bash
# test.sh: runs every group, prints one line for each and the sum as the last line. A group that cannot run has failed.
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# report NAME PASSED FAILED SKIPPED SECONDS
report() {
    echo "group $1: run $(($2 + $3 + $4)) passed $2 failed $3 skipped $4 seconds $5" | tee -a "$logs/groups"
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

# sum FILE: "PASSED FAILED SKIPPED" of all result lines of libtest ("ok. 3 passed; 0 failed; 1 ignored") and of closing
# lines ("3 passed, 0 failed, 1 skipped", "docker: 4 run, 3 passed, ...") in FILE.
sum() {
    sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored;.*/\1 \2 \3/p
             s/^(docker: [0-9]+ run, )?([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped(,.*)?$/\2 \3 \4/p' "$1" |
        awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }'
}

# group NAME COMMAND...: the command's own count if it prints one, else one test that is the command's exit status.
group() {
    local name=$1 begin=$SECONDS status p f s
    shift
    echo "--- $name"
    "$@" </dev/null 2>&1 | tee "$logs/$name"
    status=${PIPESTATUS[0]}
    read -r p f s < <(sum "$logs/$name")
    if [ "$((p + f + s))" -eq 0 ]; then
        if [ "$status" -eq 0 ]; then p=1; else f=1; fi
    elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
    fi
    report "$name" "$p" "$f" "$s" "$((SECONDS - begin))"
}

# The suite without its lines per group: those are printed here, with the time that a person waits.
suite() {
    set -o pipefail
    target/debug/suite "$1" | sed '/^group /d'
}

group build make build probe
group lint make lint
# One selection of packages for tests and programs: another one has other features, and builds the same crates again.
group unit cargo test --workspace --locked
group programs cargo build --workspace --locked

export GUESTS=$PWD/dist/guests PROBE=$PWD/dist/test/probe
export RUNTIME=$PWD/dist/urunc FLAVOUR=urunc
group size scripts/check-size.sh
group features scripts/check-features.sh dist/urunc
for name in lifecycle bad-config bad-image reality golden delegation memory crash crash-guest storm review; do
    group "$name" suite "$name"
done
# A tenth of the lives and commands; whole, and with SEED or KILLS: `STORM=1 target/debug/suite chaos`.
STORM=10 group chaos suite chaos
# The suite proves itself on a runtime that is known.
for name in lifecycle bad-config; do
    RUNTIME=$(command -v runc) FLAVOUR=runc group "$name-runc" suite "$name"
done
for name in ordinary spt qemu bad rounds; do
    group "docker-$name" scripts/docker-env.sh dist/urunc tests/docker/run.sh "$name"
done

echo "---"
cat "$logs/groups"
echo "$passed passed, $failed failed, $skipped skipped, $SECONDS s"
[ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ]
