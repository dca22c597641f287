#!/bin/bash
# suite.sh [--endless] GROUP...: whole groups of the suite on what `make build probe` built. --endless: with one random
# seed after the other, until a group fails or somebody ends it.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked -p suite
# A monitor is trusted only where root alone can write: below a clone in /tmp it is not.
trusted=$(mktemp -d /var/lib/urunc-suite.XXXXXX)
# What a failed case kept stays.
trap 'rm -f "$trusted"/{probe,monitor}; rmdir --ignore-fail-on-non-empty "$trusted"' EXIT
cp dist/test/probe dist/test/monitor "$trusted/"
export GUESTS=$PWD/dist/guests PROBE=$trusted/probe TMPDIR=$trusted
export RUNTIME=$PWD/dist/urunc FLAVOUR=urunc
if [ "$1" = --endless ]; then
    shift
    while SEED=$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); do
        echo "SEED=$SEED"
        SEED=$SEED target/debug/suite "$@"
    done
fi
target/debug/suite "$@"
