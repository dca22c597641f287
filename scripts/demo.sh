#!/bin/bash
# Two guests from image to output: the hello unikernel through its whole life and through `run`, then Debian's cloud
# kernel on QEMU with an initrd made on the spot, and the page that it serves through the tap.
set -euo pipefail
cd "$(dirname "$0")/.."

urunc=$PWD/dist/urunc
dir=$(mktemp -d)
name=demo$$
run() { "$urunc" --root "$dir/state" "$@"; }

# Undoes what the demo made, also after a failure; each part may not have been made.
cleanup() {
    for id in hello linux; do run delete --force "$id" >/dev/null 2>&1 || true; done
    ip netns delete "$name" 2>/dev/null || true
    ip link delete "$name" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT

# bundle DIR ARGS_JSON NETWORK_JSON GUEST MONITOR [KEY VALUE]...: config.json and urunc.json of a unikernel bundle.
bundle() {
    local path=$1 args=$2 network=$3 keys
    keys=$(jq -n --arg guest "$4" --arg monitor "$5" \
        '{unikernelType: $guest, hypervisor: $monitor, binary: "/.boot/kernel"}')
    shift 5
    while [ $# -gt 0 ]; do
        keys=$(jq --arg key "$1" --arg value "$2" '. + {($key): $value}' <<<"$keys")
        shift 2
    done
    mkdir -p "$path/rootfs/.boot"
    jq 'with_entries(.key |= "com.urunc.unikernel." + . | .value |= @base64)' <<<"$keys" >"$path/rootfs/urunc.json"
    jq -n --argjson args "$args" --argjson network "$network" '{
        ociVersion: "1.0.2", root: {path: "rootfs", readonly: true},
        process: {user: {uid: 0, gid: 0}, args: $args, cwd: "/", env: []},
        linux: {namespaces: [{type: "pid"}, {type: "mount"}, {type: "ipc"}, {type: "uts"}, $network],
                resources: {memory: {limit: 268435456}}}}' >"$path/config.json"
}

say() { echo; echo "== $*"; }

say "the hello unikernel on the built-in monitor: create, state, start, state, delete"
bundle "$dir/hello" '["hello", "from", "the", "demo"]' '{"type": "network"}' solo5 spt
cp dist/guests/hello.spt "$dir/hello/rootfs/.boot/kernel"
run create --bundle "$dir/hello" hello >"$dir/console" 2>&1 </dev/null
run state hello | jq -c '{id, status, pid}'
begin=$(date +%s%N)
run start hello
until [ -s "$dir/console" ]; do :; done
awk -v ns=$(($(date +%s%N) - begin)) 'BEGIN { printf "first byte after %.2f ms\n", ns / 1e6 }'
until [ "$(run state hello | jq -r .status)" = stopped ]; do :; done
cat "$dir/console"
run state hello | jq -c '{id, status}'
run delete hello

say "the same through run"
run run --bundle "$dir/hello" hello </dev/null

say "Debian's cloud kernel on QEMU, in a network namespace with a veth pair"
bundle "$dir/linux" '["/app", "serve"]' "{\"type\": \"network\", \"path\": \"/run/netns/$name\"}" linux qemu \
    initrd /.boot/initrd
scripts/linux-image.sh "$dir/image"
mv "$dir/image/vmlinuz" "$dir/linux/rootfs/.boot/kernel"
mv "$dir/image/initrd" "$dir/linux/rootfs/.boot/initrd"
ip netns add "$name"
ip link add "$name" type veth peer name eth0 netns "$name"
ip address add 10.199.7.1/24 dev "$name"
ip link set "$name" up
ip -n "$name" address add 10.199.7.2/24 dev eth0
ip -n "$name" link set eth0 up
ip -n "$name" route add default via 10.199.7.1
run create --bundle "$dir/linux" linux >"$dir/console" 2>&1 </dev/null
run start linux
for ((attempt = 0; attempt < 120; attempt++)); do
    if page=$(curl --silent --max-time 1 http://10.199.7.2/); then
        echo "$page"
        exit 0
    fi
    [ "$(run state linux | jq -r .status)" = running ] || break
    sleep 0.5
done
tail -20 "$dir/console"
echo "the guest did not serve its page" >&2
exit 1
