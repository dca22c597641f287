# Twenty rounds leave nothing; sourced by run.sh.

# Everything a run could leave in these namespaces and in our cgroups, one thing a line.
snapshot() {
    local process
    for process in /proc/[0-9]*; do
        tr '\0' ' ' <"$process/cmdline" 2>/dev/null | cut -c1-80 | sed -n 's/^\(..*\)/process \1/p'
    done | grep -v -e ' snapshot' -e '^process bash ' -e '^process /bin/bash ' -e '^process tr ' || true
    sed 's/^[0-9]* [0-9]* [0-9:]* /mount /' /proc/self/mountinfo
    ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/link \1/'
    ls -1 /sys/fs/cgroup | while read -r hierarchy; do
        find "/sys/fs/cgroup/$hierarchy$URUNC_DOCKER_CGROUP" -type d -printf 'cgroup %p\n' 2>/dev/null
    done
    # Not exec/netns: dockerd itself collects those files once a minute; their mounts are listed above.
    find /run "$URUNC_DOCKER_DIR/containerd/state" -printf 'file %p\n' 2>/dev/null
    ls -1 /proc/*/ns/net 2>/dev/null | xargs -r -n1 readlink | sort -u | sed 's/^/namespace /'
}

round() {
    local image=$1
    run -d --name round -p 8080:80 "$image" >/dev/null
    [ "$image" != linux ] || until_logged round "app: serving"
    [ "$image" != ordinary ] || docker exec round /bin/true || true
    remove round
}

# Network namespaces go a moment after their last process.
same_as() {
    snapshot | sort >"$URUNC_DOCKER_DIR/after"
    diff "$1" "$URUNC_DOCKER_DIR/after"
}

# leaves_nothing ROUNDS IMAGE: compared with the state after one round.
leaves_nothing() {
    round "$2" && sleep 1
    snapshot | sort >"$URUNC_DOCKER_DIR/before"
    local i
    for ((i = 0; i < $1; i++)); do round "$2" || return 1; done
    until_true 5 same_as "$URUNC_DOCKER_DIR/before"
}
