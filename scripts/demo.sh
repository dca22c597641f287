#!/bin/bash
# Guests from bundle to output: the hello unikernel through its whole life and through `run`; Debian's cloud kernel on
# QEMU with an initrd made on the spot, and the page that it serves; a unikernel that serves pages, and how many it
# serves in a second beside nginx in an ordinary container. All of them are behind the same veth pair.
set -Eeuo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

urunc=$PWD/dist/urunc
first_byte=$PWD/dist/test/first-byte
dir=$(mktemp -d)
name=demo$$

# Undoes what the demo made, however it ends; each part may not have been made.
cleanup() {
    for id in hello hello-run linux http nginx; do run delete --force "$id" >/dev/null 2>&1 || true; done
    ip netns delete "$name" 2>/dev/null || true
    ip link delete "$name" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
trap 'echo "the demo failed: $BASH_COMMAND" >&2' ERR

run() { "$urunc" --root "$dir/state" "$@"; }
say() { printf '\n== %s\n' "$*"; }
show() { printf '$ urunc %s\n' "$*" && run "$@"; }
show_state() { printf '$ urunc state %s\n' "$1" && run state "$1" | jq -c '{id, status, pid}'; }
indented() { tr -d '\r' | sed 's/^/    /'; }

# wait_for WHAT SECONDS COMMAND...: until the command succeeds; SECONDS is how long that may take.
wait_for() {
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then echo "$what: not in time" >&2 && return 1; fi
        sleep 0.02
    done
}
is_stopped() { [ "$(run state "$1" | jq -r .status)" = stopped ]; }

# bundle DIR MEMORY_MIB ARGS_JSON NETWORK_JSON KEY=VALUE...: the config.json that `urunc spec` writes, changed, and the
# image's keys in /urunc.json, base64 as image builders write them.
bundle() {
    local path=$1 memory=$2 args=$3 network=$4 pair
    mkdir -p "$path/rootfs"
    "$urunc" spec --bundle "$path"
    jq --argjson mib "$memory" --argjson args "$args" --argjson network "$network" '
        del(.annotations) | .process.args = $args | .linux.resources.memory.limit = $mib * 1048576
        | .linux.namespaces |= map(if .type == "network" then $network else . end)' \
        "$path/config.json" >"$path/changed"
    mv "$path/changed" "$path/config.json"
    shift 4
    for pair in "$@"; do
        jq -n --arg key "com.urunc.unikernel.${pair%%=*}" --arg value "${pair#*=}" '{($key): ($value | @base64)}'
    done | jq -s add >"$path/rootfs/urunc.json"
}

# Runs `urunc` with the pipe $dir/console, shows what comes out of that and how soon.
timed() {
    local command=("$urunc" --root "$dir/state" "$@")
    if ! "$first_byte" "$dir/console" "${command[@]}" 2>"$dir/time" | indented; then cat "$dir/time" >&2; return 1; fi
    sed "s/ after/, from spawning urunc $1:/" "$dir/time"
}

hello() {
    say "hello: a Solo5 unikernel on the built-in monitor, step by step"
    bundle "$dir/hello" 64 '["hello", "from", "the", "demo"]' '{"type": "network"}' \
        unikernelType=solo5 hypervisor=spt binary=/unikernel
    cp dist/guests/hello.spt "$dir/hello/rootfs/unikernel"
    echo "bundle: config.json, rootfs/unikernel and rootfs/urunc.json:"
    jq . "$dir/hello/rootfs/urunc.json" | indented
    mkfifo "$dir/console"
    exec 3<>"$dir/console" 4<"$dir/console" # somebody reads and nobody writes once 3 is closed again
    echo '$ urunc create hello' && run create --bundle "$dir/hello" hello >&3 </dev/null 4<&-
    exec 3>&-
    show_state hello
    echo '$ urunc start hello; its console:'
    timed start hello 4<&-
    exec 4<&-
    wait_for "the end of hello" 10 is_stopped hello
    show_state hello
    show delete hello

    say "hello: the same through run; its console:"
    timed run --bundle "$dir/hello" hello-run
}

network() {
    ip netns add "$name"
    ip link add "$name" type veth peer name eth0 netns "$name"
    ip address add 10.77.0.1/24 dev "$name"
    ip link set "$name" up
    ip -n "$name" address add 10.77.0.2/24 dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" route add default via 10.77.0.1
}

# answered_or_ended ID URL: $dir/page has the page, or the guest is gone.
answered_or_ended() { curl --silent --max-time 1 --output "$dir/page" "$2" || is_stopped "$1"; }

# first_page ID URL SECONDS: waits for the page and shows it.
first_page() {
    rm -f "$dir/page"
    wait_for "the page of $1" "$3" answered_or_ended "$1" "$2" || true
    [ -s "$dir/page" ] || { echo "no page; the end of the console:" >&2; tail -20 "$dir/log" >&2; exit 1; }
    echo "\$ curl $2"
    indented <"$dir/page"
}

# requests URL: how many are answered in a second.
requests() {
    wrk --threads 1 --connections 32 --duration 3s "$1" >"$dir/load"
    if grep -E 'Socket errors|Non-2xx' "$dir/load" >&2; then return 1; fi
    awk '$1 == "Requests/sec:" { printf "%.0f\n", $2 }' "$dir/load"
}

linux() {
    local begin
    say "linux: Debian's cloud kernel on QEMU, in a network namespace with a veth pair"
    bundle "$dir/linux" 256 '["/app", "serve"]' "{\"type\": \"network\", \"path\": \"/run/netns/$name\"}" \
        unikernelType=linux hypervisor=qemu binary=/vmlinuz initrd=/initrd
    echo "making the initrd on the spot, from busybox and the kernel's modules"
    scripts/linux-image.sh "$dir/linux/rootfs"
    echo '$ urunc create linux' && run create --bundle "$dir/linux" linux >"$dir/log" 2>&1 </dev/null
    begin=$(date +%s%N)
    show start linux
    first_page linux http://10.77.0.2/ 180
    awk -v ns=$(($(date +%s%N) - begin)) 'BEGIN { printf "first answer, from spawning urunc start: %.1f s\n", ns / 1e9 }'
    show_state linux
    show kill linux TERM
    wait_for "the end of linux" 10 is_stopped linux
    show_state linux
    show delete linux
}

http() {
    say "http: a unikernel that serves pages, in the same network namespace"
    bundle "$dir/http" 16 '["serve"]' "{\"type\": \"network\", \"path\": \"/run/netns/$name\"}" \
        unikernelType=mirage hypervisor=spt binary=/unikernel
    cp dist/guests/http.spt "$dir/http/rootfs/unikernel"
    echo '$ urunc create http' && run create --bundle "$dir/http" http >"$dir/log" 2>&1 </dev/null
    show start http
    first_page http http://10.77.0.2/ 10
    unikernel=$(requests http://10.77.0.2/)
    # The peer serves the same page.
    cp "$dir/page" "$dir/index.html"
    show delete --force http
}

nginx() {
    say "nginx in an ordinary container, which urunc leaves to runc, in the same network namespace"
    mkdir "$dir/nginx"
    runc spec --bundle "$dir/nginx"
    jq --arg netns "/run/netns/$name" '
        .process.terminal = false | .process.user = {uid: 65534, gid: 65534}
        | .process.args = ["/bin/nginx", "-e", "stderr", "-c", "/nginx.conf"]
        | .linux.namespaces |= map(if .type == "network" then .path = $netns else . end)' \
        "$dir/nginx/config.json" >"$dir/nginx/changed"
    mv "$dir/nginx/changed" "$dir/nginx/config.json"
    scripts/nginx-image.sh "$dir/nginx/rootfs"
    cp "$dir/index.html" "$dir/nginx/rootfs/www/"
    chmod 755 "$dir" # for its user
    echo '$ urunc create nginx' && run create --bundle "$dir/nginx" nginx >"$dir/log" 2>&1 </dev/null
    show start nginx
    first_page nginx http://10.77.0.2:8080/ 10 >/dev/null
    container=$(requests http://10.77.0.2:8080/)
    show delete --force nginx
}

compare() {
    say "small pages in a second, 32 connections for 3 seconds, server and client on $(nproc) cores"
    awk -v unikernel="$unikernel" -v container="$container" 'BEGIN {
        printf "unikernel %d, nginx %d: ratio %.2f\n", unikernel, container, unikernel / container
    }'
}

for file in "$urunc" "$first_byte" dist/guests/{hello,http}.spt; do
    [ -e "$file" ] || { echo "$file is missing: run make demo" >&2; exit 1; }
done
hello
network
linux
http
nginx
compare
[ -z "$(run list --quiet)" ]
say "all of them ran and are deleted"
