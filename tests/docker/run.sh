#!/bin/bash
# run.sh GROUP...: checks a runtime under Docker, as users have it. Groups: ordinary, spt, qemu, network, bad, rounds.
#
# Runs inside scripts/docker-env.sh:  scripts/docker-env.sh dist/urunc tests/docker/run.sh ordinary spt qemu network
# Own guests are taken from dist/guests (or $URUNC_GUESTS), the ledger from target/debug (or $URUNC_LEDGER), as the
# nameserver.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
guests=${URUNC_GUESTS:-$top/dist/guests}
ledger=${URUNC_LEDGER:-$top/target/debug/ledger}
nameserver=$top/target/debug/nameserver
[ -n "${DOCKER_HOST:-}" ] || { echo "run.sh: start it with scripts/docker-env.sh" >&2; exit 2; }
for part in check containers images ordinary spt qemu network rounds; do . "$here/$part.sh"; done

bad_group() {
    check "image with an unknown monitor" broken_image
    check "unknown monitor is an error, not a container" fails_with no-such-monitor run --rm broken
    check "no container of it is left running" equal "$(docker ps -q)" ""
    docker ps -aq | xargs -r "$DOCKER" rm -f >/dev/null
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

make_image() {
    case $1 in
    spt-*) spt_images ;;
    *) "$1_image" ;;
    esac
}

rounds_group() {
    [ -n "${URUNC_ROUNDS_IMAGES:-}" ] || local URUNC_ROUNDS_IMAGES="spt-hello spt-idle linux"
    local image
    for image in $URUNC_ROUNDS_IMAGES; do
        has_image "$image" || check "image $image" make_image "$image"
        # Twenty boots of an emulated Linux take a busy machine longer than anything else here.
        limit=$((limit * 4)) check "20 rounds of $image leave nothing" leaves_nothing 20 "$image"
    done
}

for group in "${@:?usage: run.sh GROUP...}"; do
    "${group}_group"
done
report
