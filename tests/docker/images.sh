# Images for the checks, made without any registry; sourced by run.sh.

# urunc_json KEY VALUE...: the image's contract, values in base64 as image builders write them.
urunc_json() {
    local separator='{'
    while [ $# -gt 0 ]; do
        printf '%s"com.urunc.unikernel.%s": "%s"' "$separator" "$1" "$(printf %s "$2" | base64 -w0)"
        separator=', '
        shift 2
    done
    echo '}'
}

# An ordinary container, for delegation.
ordinary_image() {
    local tree=$URUNC_DOCKER_DIR/ordinary applet
    mkdir -p "$tree/bin"
    cp "$(command -v busybox)" "$tree/bin/busybox"
    for applet in sh sleep cat stty echo true httpd timeout wget; do ln -sf busybox "$tree/bin/$applet"; done
    tar -C "$tree" -c . | docker import --change 'CMD ["/bin/sh"]' - ordinary >/dev/null
}

# Each own Solo5 guest as spt-NAME, by `docker import`. Those with a network are told addresses as MirageOS is.
spt_images() {
    local guest name tree kind
    for guest in "$guests"/*.spt; do
        name=$(basename "$guest" .spt)
        tree=$URUNC_DOCKER_DIR/spt-$name
        mkdir -p "$tree/guest"
        cp "$guest" "$tree/guest/kernel"
        kind=solo5
        case $name in http | udp-echo) kind=mirage ;; esac
        urunc_json unikernelType "$kind" hypervisor spt binary /guest/kernel >"$tree/urunc.json"
        tar -C "$tree" -c . | docker import --change 'CMD ["guest"]' - "spt-$name" >/dev/null
    done
}

# Debian's kernel, by `docker build`.
linux_image() {
    local tree=$URUNC_DOCKER_DIR/linux
    mkdir -p "$tree"
    "$top/scripts/linux-image.sh" "$tree"
    urunc_json unikernelType linux hypervisor qemu binary /boot/vmlinuz initrd /boot/initrd >"$tree/urunc.json"
    printf '%s\n' 'FROM scratch' 'COPY vmlinuz initrd /boot/' 'COPY urunc.json /' 'CMD ["/app", "serve"]' \
        >"$tree/Dockerfile"
    docker build -q -t linux "$tree" >/dev/null
}

# A contract that names a monitor that does not exist.
broken_image() {
    local tree=$URUNC_DOCKER_DIR/broken
    mkdir -p "$tree"
    : >"$tree/kernel"
    urunc_json unikernelType linux hypervisor no-such-monitor binary /kernel >"$tree/urunc.json"
    tar -C "$tree" -c . | docker import --change 'CMD ["x"]' - broken >/dev/null
}
