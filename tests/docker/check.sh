# Checks with a name and a count; sourced by run.sh.

passed=0
failed=0

# check NAME COMMAND...: one check; the output of a failed command is shown.
check() {
    local name=$1 output
    if output=$("${@:2}" 2>&1); then
        passed=$((passed + 1))
        echo "ok   $group: $name"
    else
        failed=$((failed + 1))
        echo "FAIL $group: $name"
        printf '%s\n' "${output:-(no output)}" | tail -n 15 | sed 's/^/     | /'
    fi
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

# until_true SECONDS COMMAND...: repeats until it succeeds.
until_true() {
    local end=$((SECONDS + $1))
    while [ $SECONDS -le $end ]; do
        ! "${@:2}" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    "${@:2}"
}

# Result lines of all groups; exit code 1 if a check failed or none ran.
report() {
    echo "docker: $((passed + failed)) run, $passed passed, $failed failed, 0 skipped, $SECONDS s"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
