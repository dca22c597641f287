#!/bin/bash
# suite.sh [--endless] GROUP...: whole groups of the suite on what `make build probe` built. --endless: with one random
# seed after the other, until a group fails; after Ctrl-C the round is finished, so that nothing is left.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked -p suite
# A monitor is trusted only where root alone can write: below a clone in /tmp it is not.
trusted=$(mktemp -d /var/lib/urunc-suite.XXXXXX)
# What a failed case kept stays.
trap 'rm -f "$trusted"/{probe,monitor}; rmdir --ignore-fail-on-non-empty "$trusted"' EXIT
cp dist/test/probe dist/test/monitor "$trusted/"
export GUESTS=$PWD/dist/guests PROBE=$trusted/probe TMPDIR=$trusted
export RUNTIME=$PWD/dist/urunc FLAVOUR=urunc LINUX=$PWD/dist/linux
[[ ! " $* " =~ " "(catalogue|exits|net-linux|net-storm)" " ]] || scripts/linux-image.sh "$LINUX"
if [ "$1" = --endless ]; then
    shift
    last=no
    trap 'last=yes' INT
    while [ "$last" = no ]; do
        SEED=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
        echo "SEED=$SEED"
        SEED=$SEED setsid --wait target/debug/suite "$@"
    done
else
    target/debug/suite "$@"
fi
