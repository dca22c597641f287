# An image without a contract is an ordinary container, whichever runtime runs it; sourced by run.sh.

ordinary_exit_code() {
    local code=0
    run --rm ordinary /bin/sh -c 'echo out; exit 7' >/dev/null || code=$?
    equal "$code" 7
}

ordinary_serves() {
    run -d --name ordinary -p 8080:80 ordinary /bin/sh -c \
        'mkdir /w; echo page >/w/index.html; exec httpd -f -p 80 -h /w' >/dev/null
    answers ordinary 8080 page && docker exec ordinary /bin/true
}

ordinary_terminal() {
    local screen=$URUNC_DOCKER_DIR/screen
    (until_true 20 docker inspect tty; sleep 0.5; echo 'stty size; exit 3') |
        in_terminal "$screen" "$DOCKER" run -it --name tty --runtime urunc ordinary || true
    equal "$(inspect tty '{{.State.ExitCode}}')" 3 && docker rm tty
}

ordinary_resize() {
    run -dit --name size ordinary >/dev/null
    resize size 33 99
    until_true 5 equal_size size '33 99'
}

equal_size() { equal "$(terminal_size "$1")" "$2"; }
resize() {
    curl -sf --unix-socket "${DOCKER_HOST#unix://}" -X POST "http://docker/containers/$1/resize?h=$2&w=$3"
}

ordinary_stdin() { equal "$(echo typed | run -i --rm ordinary cat)" typed; }

ordinary_group() {
    check "ordinary image" ordinary_image
    check "exit code" ordinary_exit_code
    check "serves a page and executes" ordinary_serves
    check "terminal" ordinary_terminal
    check "resize" ordinary_resize
    check "standard input" ordinary_stdin
    remove ordinary size
}
