# Solo5 guests on the built-in monitor; sourced by run.sh.

# prints IMAGE TEXT [ARG]...
prints() { has "$(run --rm "$1" "${@:3}" 2>&1)" "$2"; }

# ends_with IMAGE STATUS [ARG]...
ends_with() {
    run -d --name ends "$1" "${@:3}" >/dev/null
    local status
    status=$(status_of ends)
    docker logs ends
    remove ends
    equal "$status" "$2"
}

# The guest gets the limit but for two MiB, touches all of it, and is not killed.
fills() {
    run -d --name fills -m "${1}m" spt-memory >/dev/null
    local status touched killed
    status=$(status_of fills)
    touched=$(docker logs fills 2>&1 | sed -n 's/^touched \([0-9]*\) MiB.*/\1/p')
    killed=$(inspect fills '{{.State.OOMKilled}}')
    docker logs fills
    remove fills
    equal "$status $killed" "0 false" && at_least "$touched" $(($1 - 2))
}

# idle_with ARG...: starts the guest that waits for ever.
idle_with() { run -d --name idle "$@" spt-idle >/dev/null && until_logged idle idle; }

idle_checks() {
    check "runs detached" idle_with
    check "docker top shows it" equal "$(docker top idle -o pid | wc -l)" 2
    check "docker exec is refused" exec_fails idle
    check "docker stop ends it with 143" stops_with idle 143
    check "docker start runs it again" docker start idle
    check "docker restart" docker restart -t 2 idle
    check "docker kill ends it with 137" killed_with idle KILL 137
    check "docker kill -s INT ends it with 130" started_and_killed_with idle INT 130
    check "docker rm" docker rm idle
}

killed_with() {
    docker kill -s "$2" "$1" >/dev/null
    equal "$(status_of "$1")" "$3"
}

started_and_killed_with() { docker start "$1" >/dev/null && killed_with "$@"; }

# option_works ARG...: with these options of docker run the guest starts and stops.
option_works() {
    local code=0
    { idle_with "$@" && stops_with idle 143; } || code=1
    remove idle
    return $code
}

runs_as_user() {
    idle_with -u 65534
    local uid
    uid=$(uid_of idle)
    remove idle
    equal "$uid" 65534
}

spt_terminal() {
    idle_with -it
    resize idle 33 99
    local code=0
    until_true 5 equal_size idle '33 99' || code=1
    remove idle
    return $code
}

attach_seen() {
    [ -n "$(docker events --since 10m --until "$(date +%s)" --filter "container=$(inspect "$1" '{{.Id}}')" \
        --filter event=attach)" ]
}

attached() {
    idle_with
    local screen=$URUNC_DOCKER_DIR/attached
    docker attach --no-stdin --sig-proxy=false idle >"$screen" 2>&1 &
    local client=$! code=0
    until_true 10 attach_seen idle && docker stop -t 2 idle >/dev/null
    wait $client || code=$?
    remove idle
    equal "$code" 143
}

# The other target, on a /dev/kvm that may only emulate.
hvt_checks() {
    check "images for hvt" hvt_images
    check "hvt: hello gets its command line" prints hvt-hello "one two" one two
    check "hvt: exit code chosen by the guest" ends_with hvt-exit 42 42
    check "hvt: a fault is 1" ends_with hvt-segv 1
    check "hvt: a fault is named" prints hvt-segv "solo5-hvt: triple fault"
    run -d --name idle hvt-idle >/dev/null
    check "hvt: runs detached" until_logged idle idle
    check "hvt: docker stop ends it with 143" stops_with idle 143
    check "hvt: docker rm" docker rm idle
}

spt_group() {
    check "images of the own guests" spt_images
    check "hello prints" prints spt-hello "hello from a solo5 guest"
    check "hello gets its command line" prints spt-hello "one two" one two
    check "exit code of hello" ends_with spt-hello 0
    check "exit code chosen by the guest" ends_with spt-exit 42 42
    check "abort is 255" ends_with spt-abort 255
    check "fault is 139" ends_with spt-segv 139
    check "forbidden call is 159" ends_with spt-forbidden 159
    check "clock" prints spt-clock "long enough"
    idle_checks
    check "--read-only" option_works --read-only
    check "--init" option_works --init
    check "--network none" option_works --network none
    check "-u 65534" runs_as_user
    check "-it with resize" spt_terminal
    check "docker attach ends with the guest's status" attached
    local limit
    for limit in 32 64 512; do check "-m ${limit}m is filled and holds" fills "$limit"; done
    hvt_checks
}
