#!/bin/bash
# run.sh [GROUP|GROUP/CASE]...: boots the test VM and runs groups or cases of the suite in it, or `docker`
# (tests/vm/docker.sh); by default what only the VM can show.
#
# Needs what `make build probe` and `cargo build --workspace` make. Every instruction is emulated, those of the guest's
# own KVM too (`-cpu max` has AMD's SVM): it runs everywhere, and no time in it means anything. Without AVX a guest below
# the guest boots in half the time. The guest's serial lines are its console, its report and its clock. A machine that
# stands still is made anew for what it had not ended; a test that fails fails the run.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."

# Longer than the whole lane takes on a processor that is busy with something else.
limit=${URUNC_VM_SECONDS:-2400}
# Seconds without a tick of the guest's clock after which the machine stands still. What the tests hang on leaves the
# clock alone.
still=${URUNC_VM_STILL:-240}
# All of the machine runs on one processor: QEMU 7.2 changes a processor's pending interrupts without a lock when a guest
# below the guest is entered and left. On two such a guest is reset, or the machine stands still, in one boot of Linux out
# of six (6 of 37, a plain QEMU's as well as urunc's); on one it was none of 35.
own=$(taskset -pc $$)
own=${own##*[ ,-]}
# Guests on KVM, under the filters of their monitors: few, as the life of one takes seconds here. Of each kind one on every
# board (`docker` has Linux on q35), and of the ends those that KVM has a part in.
kvm=(hvt-guest/a-disk-is-read-and-written hvt-guest/in-32-mebibytes hvt-guest/random-hypercalls
    catalogue/f-05-the-processor-of-an-hvt-guest net-guest/pages-arrive-with-mtu-1500 virtio-guest/on-the-board
    net-linux/on-the-board-pc net-linux/on-the-board-microvm exits/a-triple-fault exits/killed-for-its-memory
    exits/a-guest-with-a-power-button)
[ $# -gt 0 ] || set -- lifecycle vm-cgroup vm-identity vm-apparmor vm-scope "${kvm[@]}" docker
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the guest may see of this machine: copies, read-only.
share() {
    mkdir -p "$work/share/target/debug" "$work/share/dist"
    cp -r dist/urunc dist/guests dist/test "$work/share/dist/"
    # The guest reads slowly.
    for name in suite ledger; do strip --strip-debug -o "$work/share/target/debug/$name" "target/debug/$name"; done
    cp -r tests scripts cases "$work/share/"
    pwd >"$work/share/top"
    scripts/linux-image.sh "$work/share/linux"
}

# boot IMAGE: prints the guest's report; 3 if the machine stood still.
boot() {
    : >"$work/ticks"
    taskset -c "$own" timeout --foreground -k 10 "$limit" qemu-system-x86_64 -M q35 -m 3072 \
        -accel tcg,thread=multi -cpu max,-xsave,-avx,-avx2 -smp 2 \
        -display none -monitor none -no-reboot -nic none \
        -kernel "$1/vmlinuz" -initrd "$1/initrd" \
        -append "root=/dev/vda rw console=ttyS0 quiet systemd.unified_cgroup_hierarchy=1 lsm=apparmor" \
        -drive "file=$1/disk.ext4,format=raw,if=virtio,snapshot=on" \
        -virtfs "local,path=$work/share,mount_tag=host,security_model=none,readonly=on" \
        -serial "file:$work/console" -serial stdio -serial "file:$work/ticks" </dev/null &
    watch $!
}

# watch PID: until it ends.
watch() {
    local size last='' moved=$SECONDS
    while kill -0 "$1" 2>/dev/null; do
        size=$(stat -c %s "$work/ticks")
        [ "$size" = "$last" ] || { last=$size moved=$SECONDS; }
        if [ $((SECONDS - moved)) -ge "$still" ]; then
            kill "$1"
            return 3
        fi
        sleep 1
    done
}

# ended NAME: the machine has said what became of it.
ended() { grep -q "^done $1 " "$work/report"; }

# rest NAME...: those that have not ended.
rest() {
    local name
    for name in "$@"; do ended "$name" || echo "$name"; done
}

image=$(tests/vm/build.sh)
share
: >"$work/report"
for attempt in 1 2 3; do
    rest "$@" >"$work/share/groups"
    status=0
    boot "$image" | tee -a "$work/report" | grep --line-buffered -v '^done ' || status=${PIPESTATUS[0]}
    [ "$status" -eq 3 ] || break
    echo "the test VM stood still for $still s (attempt $attempt)"
done
read -r passed failed skipped < <(awk '$1 == "done" { p += $3; f += $4; s += $5 } END { print p + 0, f + 0, s + 0 }' "$work/report")
# What failed before a machine stood still has failed, though its group was run again.
seen=$(grep -cE '\.\.\. FAILED|^FAIL ' "$work/report" || true)
failed=$((seen > failed ? seen : failed))
missing=$(rest "$@" | wc -l)
if [ $((failed + missing)) -gt 0 ]; then
    echo "$missing groups did not end; the end of the test VM's console:"
    tail -n 60 "$work/console" | tr -d '\r' | sed 's/^/     | /'
fi
echo "$passed passed, $((failed + missing)) failed, $skipped skipped"
[ "$passed" -gt 0 ] && [ $((failed + missing + skipped)) -eq 0 ]
