# What the checks do with containers; sourced by run.sh. Every container is removed by its check.

docker() { "$DOCKER" "$@"; }
run() { docker run --runtime urunc "$@"; }

# No pipe into grep -q: it ends at the first match, and a client that has more to say then fails the pipe.
logged() { [[ $(docker logs "$1" 2>&1) == *"$2"* ]]; }
running() { [ "$(inspect "$1" '{{.State.Running}}' 2>&1)" = true ]; }
# until_logged NAME TEXT: the guest has printed the text; fails at once when it has ended without.
until_logged() {
    until_true 60 logged_or_over "$1" "$2"
    logged "$1" "$2" || { docker logs "$1"; return 1; }
}
logged_or_over() { logged "$1" "$2" || ! running "$1"; }

inspect() { docker inspect -f "$2" "$1"; }
pid_of() { inspect "$1" '{{.State.Pid}}'; }

# monitor_of NAME: pid of the monitor, which is the only child of an init that stays.
monitor_of() {
    local pid child
    pid=$(pid_of "$1")
    [[ $(<"/proc/$pid/comm") != urunc:* ]] || read -r child _ <"/proc/$pid/task/$pid/children"
    echo "${child:-$pid}"
}

# status_of NAME: waits for its end and prints the exit code.
status_of() { timeout -k 5 60 "$DOCKER" wait "$1"; }

# stops_with NAME STATUS: a container that takes longer than two seconds is killed and says 137.
stops_with() {
    docker stop -t 2 "$1" >/dev/null
    equal "$(inspect "$1" '{{.State.ExitCode}}')" "$2"
}

# How often a running container has met its memory limit: failcnt of cgroup v1, the event `max` of v2.
limit_hits() {
    local group
    group=$URUNC_DOCKER_CGROUP/$(inspect "$1" '{{.Id}}')
    if [ -e "/sys/fs/cgroup/memory$group" ]; then
        cat "/sys/fs/cgroup/memory$group/memory.failcnt"
    else
        sed -n 's/^max //p' "/sys/fs/cgroup$group/memory.events"
    fi
}

page() { curl -s --max-time 5 "http://127.0.0.1:$1/"; }
# answers NAME PORT TEXT: the page of a running container, as seen from the host.
answers() {
    until_true "${URUNC_BOOT_SECONDS:-60}" page_or_over "$1" "$2"
    has "$(page "$2")" "$3" || { docker logs "$1"; return 1; }
}
page_or_over() { page "$2" || ! running "$1"; }

uid_of() { sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$(pid_of "$1")/status"; }
terminal_size() { stty -F "/proc/$(monitor_of "$1")/fd/0" size; }

# exec_fails NAME: there is no agent in a unikernel: refused at once, and the guest goes on.
exec_fails() {
    local output
    if output=$(timeout -k 5 5 "$DOCKER" exec "$1" /bin/true 2>&1); then echo "exec succeeded"; return 1; fi
    has "$output" "exec" && equal "$(inspect "$1" '{{.State.Running}}')" true
}

# In a terminal of its own: in_terminal FILE COMMAND...; stdin is what is typed, FILE gets the screen. The command
# leads the terminal's session: below a shell or a `timeout` it is in the background, and stops at its first read.
in_terminal() { timeout -k 5 60 script -qefc "exec $(printf '%q ' "${@:2}")" "$1" >/dev/null; }

remove() { docker rm -f "$@" >/dev/null; }
