# Checks with a name and a count; sourced by run.sh.

passed=0
failed=0

# Seconds after which a check has failed: nothing here takes half as long, and a client that waits for ever
# must not take the other checks with it.
limit=${URUNC_CHECK_SECONDS:-180}

# check NAME COMMAND...: one check; the output of a failed command is shown.
check() {
    local name=$1 output=$URUNC_DOCKER_DIR/check
    if bounded "$output" "${@:2}"; then
        passed=$((passed + 1))
        echo "ok   $group: $name"
    else
        failed=$((failed + 1))
        echo "FAIL $group: $name"
        { grep . "$output" || echo "(no output)"; } | tail -n 40 | sed 's/^/     | /'
    fi
}

# bounded FILE COMMAND...: the command in a process group of its own, its output in FILE. One that takes too long is
# killed; FILE then ends with what ran at that time.
bounded() {
    local file=$1 job clock
    set -m
    "${@:2}" </dev/null >"$file" 2>&1 &
    job=$!
    sleep "$limit" </dev/null >/dev/null 2>&1 &
    clock=$!
    set +m
    wait -n "$job" "$clock"
    if kill -0 "$clock" 2>/dev/null; then
        kill "$clock"
    else
        { echo "not done after $limit s; running are:"; ps -eo pid,ppid,pgid,stat,etimes,wchan:20,args | cut -c -160; } >>"$file"
        kill -KILL -- "-$job"
    fi
    wait "$clock" 2>/dev/null
    wait "$job" 2>/dev/null
}

# equal GOT WANTED
equal() { [ "$1" = "$2" ] || { echo "got <$1>, wanted <$2>"; return 1; }; }

# has TEXT PART: the part occurs literally.
has() { [[ $1 == *"$2"* ]] || { echo "<$2> is not in <$1>"; return 1; }; }

# at_least NUMBER LEAST
at_least() { [ "${1:-0}" -ge "$2" ] || { echo "got <$1>, wanted at least $2"; return 1; }; }

# fails_with PART COMMAND...: it fails, and its output has the part.
fails_with() {
    local part=$1 output
    if output=$("${@:2}" 2>&1); then echo "succeeded: $output"; return 1; fi
    has "$output" "$part"
}

# until_true SECONDS COMMAND...: repeats until it succeeds, every URUNC_POLL_SECONDS.
until_true() {
    local end=$((SECONDS + $1))
    while [ $SECONDS -le $end ]; do
        ! "${@:2}" >/dev/null 2>&1 || return 0
        sleep "${URUNC_POLL_SECONDS:-0.1}"
    done
    "${@:2}"
}

# Result lines of all groups; exit code 1 if a check failed or none ran.
report() {
    echo "docker: $((passed + failed)) run, $passed passed, $failed failed, 0 skipped, $SECONDS s"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
