# Unikernels among the containers of a network, by name; sourced by run.sh.

# in_web ARG...: docker run in that network; the runtime is one of the arguments.
in_web() { docker run --network web "$@"; }

# An ordinary container that serves.
page_serves() {
    in_web -d --name page --runtime runc ordinary \
        /bin/sh -c 'echo hello from page >/index.html && exec httpd -f -p 80 -h /' >/dev/null
}

# fetches URL TEXT: an ordinary container does. The option for the time limit makes a static busybox crash.
fetches() {
    local output
    output=$(in_web --rm --runtime runc ordinary timeout 5 wget -q -O - "$1") && has "$output" "$2"
}

# guest_fetches URL TEXT [ARG]...
guest_fetches() {
    local output
    output=$(in_web --rm --runtime urunc "${@:3}" linux /app fetch "$1")
    has "$output" "app: fetched $2" || { echo "$output"; return 1; }
}

# guest_is_fetched NAME IMAGE TEXT: by its name in the network.
guest_is_fetched() {
    in_web -d --name "$1" --runtime urunc "$2" >/dev/null
    until_true 60 fetches_or_over "$1"
    local code=0
    fetches "http://$1/" "$3" || { code=1; docker logs "$1"; }
    remove "$1"
    return $code
}
fetches_or_over() { fetches "http://$1/" "" || ! running "$1"; }

# Docker's nameserver asks a server that is not the host's from inside of the container's namespace.
guest_asks_outside() {
    local gateway server code=0
    gateway=$(docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' web)
    "$nameserver" "$gateway" "$(inspect page '{{.NetworkSettings.Networks.web.IPAddress}}')" &
    server=$!
    guest_fetches http://page.example/ "hello from page" --dns "$gateway" || code=1
    kill $server
    return $code
}

unikernel_published() {
    local code=0
    run -d --name http -p 8081:80 spt-http >/dev/null
    answers http 8081 "" || code=1
    equal "$(curl -s --max-time 5 -o /dev/null -w '%{http_code} %{size_download}' http://127.0.0.1:8081/bytes/100000)" \
        "200 100000" || code=1
    remove http
    return $code
}

network_group() {
    check "image of an ordinary container" ordinary_image
    check "images of Solo5 guests" spt_images
    has_image linux || check "image of the Linux guest" linux_image
    check "docker network create" docker network create web
    check "an ordinary container serves" page_serves
    check "the Linux guest resolves its name and fetches from it" guest_fetches http://page/ "hello from page"
    check "so it does a name that a server outside knows" guest_asks_outside
    check "an ordinary container fetches from the Linux guest by name" guest_is_fetched guest linux "hello from Linux"
    check "and from the unikernel" guest_is_fetched http spt-http http
    check "docker run -p of the unikernel answers curl" unikernel_published
    check "docker rm" remove page
    check "docker network rm" docker network rm web
}
