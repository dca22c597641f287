#!/bin/bash
# run.sh [GROUP|GROUP/CASE]...: boots the test VM and runs groups or cases of the suite in it, or `docker`
# (tests/vm/docker.sh); by default what only the VM can show.
#
# Needs what `make build probe` and `cargo build --workspace` make. Every instruction is emulated, those of the guest's
# own KVM too (`-cpu max` has AMD's SVM): it runs everywhere, and no time in it means anything. The guest reports on its
# second serial line, the first one is its console. The last line is the result; without it the run has failed.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."

# Longer than the whole lane takes on two cores that are busy with something else.
limit=${URUNC_VM_SECONDS:-1000}
[ $# -gt 0 ] || set -- lifecycle vm-cgroup vm-identity vm-apparmor vm-scope docker
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the guest may see of this machine: copies, read-only.
share() {
    mkdir -p "$work/share/target/debug" "$work/share/dist"
    cp -r dist/urunc dist/guests dist/test "$work/share/dist/"
    cp target/debug/{suite,ledger} "$work/share/target/debug/"
    cp -r tests scripts cases "$work/share/"
    pwd >"$work/share/top"
    scripts/linux-image.sh "$work/share/linux"
    echo "$@" >"$work/share/groups"
}

boot() {
    timeout --foreground -k 10 "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -M q35 \
        -display none -monitor none -no-reboot -nic none \
        -kernel "$1/vmlinuz" -initrd "$1/initrd" \
        -append "root=/dev/vda rw console=ttyS0 quiet systemd.unified_cgroup_hierarchy=1 lsm=apparmor" \
        -drive "file=$1/disk.ext4,format=raw,if=virtio,snapshot=on" \
        -virtfs "local,path=$work/share,mount_tag=host,security_model=none,readonly=on" \
        -serial "file:$work/console" -serial stdio </dev/null
}

image=$(tests/vm/build.sh)
share "$@"
boot "$image" | tee "$work/report" || true
if tail -n 1 "$work/report" | grep -Eqx '[1-9][0-9]* passed, 0 failed, 0 skipped'; then exit 0; fi
echo "the test VM failed; the end of its console:"
tail -n 60 "$work/console" | tr -d '\r' | sed 's/^/     | /'
exit 1
