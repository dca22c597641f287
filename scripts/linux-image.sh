#!/bin/bash
# linux-image.sh OUT: makes OUT/vmlinuz and OUT/initrd, a Linux guest of Debian's cloud kernel and busybox.
#
# The kernel package is fetched by name into .cache/ (which git ignores) and unpacked, never installed.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../.cache/linux
out=${1:?usage: linux-image.sh OUT}

# The newest cloud kernel of this distribution; the meta package depends on exactly one image.
fetch_kernel() {
    local package
    package=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')
    [ -n "$package" ] || { echo "linux-image-cloud-amd64 is not known: run apt-get update" >&2; return 1; }
    if [ ! -e "$cache/$package/done" ]; then
        rm -rf "${cache:?}/$package"
        mkdir -p "$cache/$package"
        (cd "$cache/$package" && apt-get -qq -o APT::Sandbox::User=root download "$package" >&2)
        dpkg-deb -x "$cache/$package/"*.deb "$cache/$package"
        rm "$cache/$package/"*.deb
        touch "$cache/$package/done"
    fi
    echo "$cache/$package"
}

# Copies a module after everything it depends on and notes the order.
add_module() {
    local tree=$1 root=$2 name=$3 file need
    ! grep -qsx "$name" "$root/modules/order" || return 0
    file=$(find "$tree/lib/modules" -name "$name.ko" -o -name "${name//_/-}.ko")
    [ -n "$file" ] || return 0 # built in
    for need in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' '); do add_module "$tree" "$root" "$need"; done
    cp "$file" "$root/modules/$name.ko"
    echo "$name" >>"$root/modules/order"
}

main() {
    local tree root applet
    tree=$(fetch_kernel)
    root=$(mktemp -d)
    trap "rm -rf '$root'" EXIT
    mkdir -p "$root"/{bin,dev,etc,proc,sys,modules,root} "$out"
    touch "$root/etc/resolv.conf"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
    install -m 755 "$here/linux/app" "$root/app"
    ln -s app "$root/init"
    add_module "$tree" "$root" virtio_mmio
    add_module "$tree" "$root" virtio_pci
    add_module "$tree" "$root" virtio_net
    add_module "$tree" "$root" virtio_blk
    # Loaded by who listens to the power button: whoever has the driver is asked to end, and nobody else would mind.
    cp "$tree"/lib/modules/*/kernel/drivers/{acpi/button,input/evdev}.ko "$root/modules/"
    chmod 755 "$root"
    find "$root" -exec touch -h -d @0 {} +
    (cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio --null --quiet -o -H newc -R 0:0 | gzip -n9) >"$out/initrd"
    cp "$tree"/boot/vmlinuz-* "$out/vmlinuz"
}

main
