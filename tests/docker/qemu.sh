# Debian's kernel on QEMU; sourced by run.sh.

linux_with() { run -d --name linux "$@" >/dev/null && until_logged linux "app: serving"; }

qemu_checks() {
    check "docker run -d -p answers curl" linux_answers
    check "docker logs" logged linux "app: serving"
    check "docker top shows init and the monitor" equal "$(docker top linux -o pid | wc -l)" 3
    check "docker exec is refused" exec_fails linux
    check "docker attach and standard input" linux_attach
    check "docker stop ends it in time" stops_with linux 143
    check "docker start and restart answer again" linux_restarts
    check "docker rm -f" docker rm -f linux
}

linux_answers() {
    run -di --name linux -p 8080:80 linux >/dev/null
    answers linux 8080 "hello from Linux"
}

linux_attach() {
    (echo "from attach"; until_true 20 logged linux "app: read <from attach>") |
        docker attach --sig-proxy=false linux >/dev/null 2>&1 &
    local client=$! code=0
    until_logged linux "app: read <from attach>" || code=1
    kill $client 2>/dev/null
    return $code
}

linux_restarts() {
    docker start linux >/dev/null && answers linux 8080 "hello from Linux" &&
        docker restart -t 2 linux >/dev/null && answers linux 8080 "hello from Linux"
}

# Arguments and environment arrive exactly.
linux_exact() {
    local output line
    output=$(run --rm -e 'SPACES=a  b c' -e 'EQUALS=x=y' linux /app env 'two words' 'k=v' plain | tr -d '\r')
    for line in 'arg: env' 'arg: two words' 'arg: k=v' 'arg: plain' 'env: SPACES=a  b c' 'env: EQUALS=x=y'; do
        has "$output" "$line" || return 1
    done
}

# What the kernel's command line cannot carry is refused in words.
linux_refuses() { fails_with "$1" timeout -k 5 30 "$DOCKER" run --rm --runtime urunc "${@:2}"; }

linux_exits() {
    local output
    output=$(run --rm linux /app exit 0) && has "$output" "app: exit 0"
}

linux_typed() {
    local screen=$URUNC_DOCKER_DIR/typed
    # It must run first: a container that is not there yet looks like one that has ended.
    (until_true 20 running typed && until_logged typed "app: serving" && echo "from stdin" && until_logged typed "app: read <from stdin>") |
        timeout -k 5 60 "$DOCKER" run -i --name typed --runtime urunc linux >"$screen" 2>&1 &
    local client=$! code=0
    until_true 20 running typed && until_logged typed "app: read <from stdin>" || code=1
    remove typed
    wait $client || true
    return $code
}

linux_terminal() {
    local screen=$URUNC_DOCKER_DIR/terminal code=0
    run -dit --name terminal linux >/dev/null
    until_logged terminal "app: serving" && resize terminal 33 99 &&
        until_true 5 equal_size terminal '33 99' || code=1
    (sleep 1; echo "from a terminal"; until_logged terminal "app: read <from a terminal>"; printf '\020\021') |
        in_terminal "$screen" "$DOCKER" attach terminal || true
    logged terminal "app: read <from a terminal>" || code=1
    remove terminal
    return $code
}

# RAM of the guest as its monitor was told, MiB.
ram_of() { tr '\0' '\n' <"/proc/$(monitor_of "$1")/cmdline" | grep -x -A1 -e -m | tail -n 1 | tr -dc 0-9; }

# The guest gets the limit but for 80 MiB, fills it, and the limit is never touched.
linux_fills() {
    local code=0
    run -d --name fill -m "${1}m" linux /app memfill >/dev/null
    until_logged fill "app: filled" || code=1
    docker logs fill | tail -n 1
    equal "$(limit_hits fill)" 0 || code=1
    equal "$(inspect fill '{{.State.Running}}')" true || code=1
    at_least "$(ram_of fill)" $(($1 - 80)) || code=1
    remove fill
    return $code
}

linux_option() {
    local code=0
    { linux_with "$@" linux && stops_with linux 143; } || code=1
    remove linux
    return $code
}

linux_as_user() {
    linux_with -u 65534 linux
    local uid
    uid=$(uid_of linux)
    remove linux
    equal "$uid" 65534
}

qemu_group() {
    check "image of the Linux guest" linux_image
    # Brings kernel and monitor into the page cache, which would otherwise count for the first container's limit.
    check "runs to its end" linux_exits
    qemu_checks
    check "arguments and environment are exact" linux_exact
    check "newline in the environment is refused" linux_refuses "command line" -e $'A=b\nc' linux
    check "quote in an argument is refused" linux_refuses "command line" linux /app env 'a"b'
    check "-i: standard input reaches the guest" linux_typed
    check "-it with resize" linux_terminal
    check "--read-only" linux_option --read-only
    check "--init" linux_option --init
    check "-u 65534" linux_as_user
    check "-m 256m is filled and never exceeded" linux_fills 256
    check "-m 512m is filled and never exceeded" linux_fills 512
    check "-m 64m is refused in words" linux_refuses "memory limit" -m 64m linux
}
