#!/bin/bash
# build.sh: makes the test VM, unless it is cached, and prints its directory: disk.ext4, vmlinuz, initrd.
#
# Debian 12 as a server has it: systemd, cgroup v2, AppArmor, Linux 6.1, Docker with its defaults. The cache is
# .cache/vm/KEY, where KEY is this script and the files that go into the image; another key replaces it.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=$(readlink -m "$here/../../.cache/vm")
key=$(cat "$here/build.sh" "$here"/image/* | sha256sum | cut -c1-16)
out=$cache/$key

packages=(
    apparmor busybox-static ca-certificates containerd curl dbus docker.io iproute2 iptables jq kmod linux-image-amd64
    nftables procps qemu-system-x86 runc strace systemd systemd-sysv udev util-linux
)

# The lines of sources.list with which this machine gets bookworm; none: mmdebstrap knows where Debian is.
sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 'Origin: Debian' |
        grep -E '^deb [^ ]+ bookworm(-updates|-security)? ' || true
}

make_tree() {
    local names mirrors units=$work/tree/etc/systemd/system
    names=$(IFS=,; echo "${packages[*]}")
    mapfile -t mirrors < <(sources)
    mmdebstrap --quiet --variant=minbase --include="$names" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        bookworm "$work/tree" "${mirrors[@]}" >&2
    install -m 644 "$here/image/vm-tests.service" "$units/"
    install -m 755 "$here/image/vm-tests" "$work/tree/usr/local/sbin/"
    mkdir -p "$units/graphical.target.wants"
    ln -s ../vm-tests.service "$units/graphical.target.wants/"
    # A login prompt has no user here, and no job of the night may come in between. Docker starts when its checks do.
    ln -s /dev/null "$units/getty@tty1.service"
    ln -s /dev/null "$units/serial-getty@ttyS0.service"
    rm -f "$units"/multi-user.target.wants/{docker,containerd}.service "$units"/timers.target.wants/*
    install -D -m 644 "$here/image/daemon.json" "$work/tree/etc/docker/daemon.json"
    echo vm >"$work/tree/etc/hostname"
}

[ ! -e "$out/disk.ext4" ] || { echo "$out"; exit; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
make_tree
mkdir "$work/out"
cp "$work"/tree/boot/vmlinuz-* "$work/out/vmlinuz"
cp "$work"/tree/boot/initrd.img-* "$work/out/initrd"
mke2fs -q -t ext4 -d "$work/tree" "$work/out/disk.ext4" 4G >&2
find "$cache" -mindepth 1 -maxdepth 1 ! -path "$work" -exec rm -rf {} +
mv "$work/out" "$out"
echo "$out"
