#!/bin/bash
# Installs what tests and demo need and what is missing, by name: Debian packages and the toolchain with its targets.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    apparmor busybox-static ca-certificates containerd cpio crun curl docker.io e2fsprogs g++ gcc golang-go iproute2 iptables jq kmod
    libc6-dev mmdebstrap nftables procps qemu-system-x86 runc strace util-linux wrk
)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -q install --yes --no-install-recommends "${missing[@]}"
fi

# The toolchain file names the channel, its components and targets; asking for it installs what is not there.
if command -v rustup >/dev/null; then
    rustup toolchain install --no-self-update >/dev/null
    (cd fuzz && rustup toolchain install --no-self-update >/dev/null)
fi
cargo --version
