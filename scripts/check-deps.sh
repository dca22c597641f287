#!/bin/bash
# What a crate may depend on: the planner can do no I/O, nothing is asynchronous, and both stay small.
set -euo pipefail
cd "$(dirname "$0")/.."

# Every crate in the build of $1, once.
crates() {
    cargo tree --locked --package "$1" --edges normal --target x86_64-unknown-linux-musl --prefix none \
        --format '{p}' | awk '{ print $1 }' | sort -u
}

# At most $2 crates in the build of $1, and none of the others named.
check() {
    local package=$1 most=$2 found count bad
    shift 2
    found=$(crates "$package")
    count=$(wc -l <<<"$found")
    if ((count > most)); then
        echo "$package: $count crates, at most $most are allowed" >&2
        return 1
    fi
    for bad in "$@"; do
        if grep -qx "$bad" <<<"$found"; then
            echo "$package depends on $bad" >&2
            return 1
        fi
    done
    echo "$package: $count crates of at most $most"
}

check urunc-plan 20 libc rustix log anyhow
check urunc-sys 25 urunc-tender tokio
check urunc-tender 25 urunc-sys rustix tokio
check urunc 60 tokio
