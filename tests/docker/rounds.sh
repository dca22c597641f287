# Twenty rounds leave nothing; sourced by run.sh.

# Everything that a run could leave: all processes of this pid namespace, all of this network namespace, what is below
# our cgroup and our directory, and what shims leave in /run.
snapshot() {
    "$ledger" snapshot "$1" --parent 1 --netns self --tag "$(basename "$URUNC_DOCKER_DIR")" \
        --root /run --root "$URUNC_DOCKER_DIR/containerd/state" --daemon dockerd --daemon containerd
}

round() {
    local image=$1
    run -d --name round -p 8080:80 "$image" >/dev/null || return 1
    [ "$image" != linux ] || until_logged round "app: serving" || return 1
    [ "$image" != ordinary ] || docker exec round /bin/true || return 1
    remove round
}

# Network namespaces go a moment after their last process.
same_as() { snapshot "$URUNC_DOCKER_DIR/after" && "$ledger" diff "$1" "$URUNC_DOCKER_DIR/after"; }

# After the first container the bridge gets an address of its own, which takes two seconds.
steady() { snapshot "$URUNC_DOCKER_DIR/before" && sleep 3 && same_as "$URUNC_DOCKER_DIR/before"; }

# leaves_nothing ROUNDS IMAGE: compared with the state after one round.
leaves_nothing() {
    round "$2" && until_true 20 steady || return 1
    local i
    for ((i = 0; i < $1; i++)); do round "$2" || return 1; done
    until_true 5 same_as "$URUNC_DOCKER_DIR/before"
}
