#!/bin/bash
# test.sh: runs every group, prints one line for each and the sum as the last line. A group that cannot run has failed.
set -uo pipefail
cd "$(dirname "$0")/.."

# Property tests draw the same values in every run: what is red stays red. Another seed is another search.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20261121}
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

# A group that is not done after so many seconds has failed; the slowest takes a quarter.
limit=${URUNC_GROUP_SECONDS:-1200}

# group NAME COMMAND...: the command's own count if it prints one, else one test that is the command's exit status. The
# suite's own lines per group are left out: those printed here have the time that a person waits.
group() {
    local name=$1 begin=$SECONDS status p f s
    shift
    echo "--- $name"
    timeout -k 10 "$limit" "$@" </dev/null 2>&1 | sed -u '/^group /d' | tee "$logs/$name"
    status=${PIPESTATUS[0]}
    [ "$status" -ne 124 ] || echo "$name: not done after $limit s"
    read -r p f s < <(sum "$logs/$name")
    if [ "$((p + f + s))" -eq 0 ]; then
        if [ "$status" -eq 0 ]; then p=1; else f=1; fi
    elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
    fi
    report "$name" "$p" "$f" "$s" "$((SECONDS - begin))"
}

group build make build probe
group lint make lint
# One selection of packages for tests and programs: another one has other features, and builds the same crates again.
group unit cargo test --workspace --locked --no-fail-fast
group guests make test-guests
group adding scripts/check-adding.sh
group programs cargo build --workspace --locked
group mutants target/debug/mutants --check

group miri scripts/miri.sh
SEED=$PROPTEST_RNG_SEED group fuzz scripts/fuzz.sh

# A monitor is trusted only where root alone can write: below a clone in /tmp it is not.
trusted=$(mktemp -d /var/lib/urunc-test.XXXXXX)
trap 'rm -rf "$logs" "$trusted"' EXIT
cp dist/test/probe dist/test/monitor "$trusted/"
export GUESTS=$PWD/dist/guests PROBE=$trusted/probe TMPDIR=$trusted
export RUNTIME=$PWD/dist/urunc FLAVOUR=urunc
group size scripts/check-size.sh
group features scripts/check-features.sh dist/urunc
# Fetched here: Docker's checks have a network of their own, from which no mirror is reached.
export LINUX=$trusted/linux
group linux-image scripts/linux-image.sh "$LINUX"
# Every group the suite has, so none is forgotten here.
mapfile -t names < <(target/debug/suite --list | cut -d/ -f1 | sort -u)
[ ${#names[@]} -gt 0 ] || report suite 0 1 0 0
# A part of the lives of some: `make storm` has them all.
declare -A divided=([storm]=5 [chaos]=10 [net-storm]=10)
for name in "${names[@]}"; do
    STORM=${divided[$name]:-1} group "$name" target/debug/suite "$name"
done
# A tenth of `make sweep`, by the seed that it prints.
group sweep target/debug/sweep --part 10
# The suite proves itself on a runtime that is known.
for name in lifecycle bad-config; do
    RUNTIME=$(command -v runc) FLAVOUR=runc group "$name-runc" target/debug/suite "$name"
done
for name in ordinary spt qemu network bad rounds; do
    group "docker-$name" scripts/docker-env.sh dist/urunc tests/docker/run.sh "$name"
done
# What this host lacks: cgroup v2, systemd, AppArmor, KVM. It has a limit of its own, for each of two attempts.
limit=3100 group vm tests/vm/run.sh

echo "---"
cat "$logs/groups"
echo "all groups: $SECONDS seconds"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$skipped" -eq 0 ]
