#!/bin/bash
# docker-env.sh RUNTIME COMMAND [ARG]...: runs COMMAND beside a private containerd and dockerd of this distribution.
#
# The runtime named `urunc` in that Docker is the program RUNTIME. COMMAND finds in its environment:
#   DOCKER_HOST        the daemon's socket
#   DOCKER             the client that fits the daemon
#   URUNC_DOCKER_DIR   a temporary directory with the daemons' logs
#   URUNC_DOCKER_CGROUP  cgroup below which all containers are, in every hierarchy
# Everything runs in new network, mount and pid namespaces, so whatever is left ends with them; exit code is COMMAND's.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: docker-env.sh RUNTIME COMMAND [ARG]..." >&2; exit 2; }

if [ -z "${URUNC_DOCKER_DIR:-}" ]; then
    runtime=$(readlink -f "$1")
    [ -x "$runtime" ] || { echo "docker-env.sh: $1 is not a program" >&2; exit 2; }
    dir=$(mktemp -d "${TMPDIR:-/tmp}/urunc-docker.XXXXXX")
    # In the background, because a trap waits for the end of a foreground command. Killing unshare kills the pid
    # namespace and with it everything that was started.
    URUNC_DOCKER_DIR=$dir URUNC_DOCKER_CGROUP=/$(basename "$dir") \
        unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc \
        "$0" "$runtime" "${@:2}" <&0 &
    trap 'kill -KILL $!' HUP INT TERM
    code=0
    wait $! || code=$?
    wait $! 2>/dev/null || true
    # Cgroups outlive namespaces: depth first, because a group with children cannot be removed. Version 2 has one
    # hierarchy, version 1 one in each directory.
    for _ in $(seq 20); do
        mapfile -t groups < <(compgen -G "/sys/fs/cgroup/${dir##*/}"; compgen -G "/sys/fs/cgroup/*/${dir##*/}")
        [ ${#groups[@]} -gt 0 ] || break
        find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
        sleep 0.1
    done
    rm -rf "$dir"
    exit "$code"
fi

dir=$URUNC_DOCKER_DIR
export DOCKER_HOST=unix://$dir/docker.sock DOCKER=/usr/bin/docker DOCKER_BUILDKIT=0 DOCKER_CONFIG=$dir/client
daemons=()

# The cgroup driver is named because with systemd and cgroup v2 Docker's own choice is systemd's.
write_configuration() {
    cat >"$dir/containerd.toml" <<TOML
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$dir/containerd.sock"
[ttrpc]
address = "$dir/containerd.sock.ttrpc"
TOML
    cat >"$dir/daemon.json" <<JSON
{"runtimes": {"urunc": {"path": "$1"}}, "cgroup-parent": "$URUNC_DOCKER_CGROUP",
 "exec-opts": ["native.cgroupdriver=cgroupfs"]}
JSON
}

# Waits up to 30 s for the success of a command; fails at once when the daemon is gone.
wait_for() {
    local daemon=$1 i
    for i in $(seq 300); do
        ! "${@:2}" >/dev/null 2>&1 || return 0
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    echo "docker-env.sh: ${*:2} does not succeed" >&2
    tail -n 20 "$dir"/*.log >&2
    return 1
}

start_daemons() {
    ip link set lo up
    mount -t tmpfs -o mode=755 run /run # shim sockets, xtables' lock and the like have fixed names there
    containerd --config "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 &
    daemons=($!)
    wait_for $! ctr --address "$dir/containerd.sock" version
    dockerd --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$dir/exec" \
        --pidfile "$dir/dockerd.pid" -H "$DOCKER_HOST" --containerd "$dir/containerd.sock" >"$dir/dockerd.log" 2>&1 &
    daemons=($! "${daemons[@]}")
    wait_for $! "$DOCKER" version
}

# Last started, first stopped; what ignores SIGTERM for ten seconds dies with the pid namespace.
stop_daemons() {
    local daemon i
    for daemon in "${daemons[@]}"; do
        kill "$daemon" 2>/dev/null || continue
        for i in $(seq 100); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.1; done
    done
}

trap stop_daemons EXIT
write_configuration "$1"
start_daemons
"${@:2}"
