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

# solo5_image FILE: the own guest NAME.ABI as ABI-NAME, by `docker import`. Those with a network are told addresses as
# MirageOS is.
solo5_image() {
    local file=${1##*/} abi=${1##*.} name tree kind
    name=${file%.*}
    tree=$URUNC_DOCKER_DIR/$abi-$name
    mkdir -p "$tree/guest"
    cp "$1" "$tree/guest/kernel"
    kind=solo5
    case $name in http | udp-echo) kind=mirage ;; esac
    urunc_json unikernelType "$kind" hypervisor "$abi" binary /guest/kernel >"$tree/urunc.json"
    tar -C "$tree" -c . | docker import --change 'CMD ["guest"]' - "$abi-$name" >/dev/null
}

# Each own Solo5 guest for spt, and some for hvt.
spt_images() {
    local guest
    for guest in "$guests"/*.spt; do solo5_image "$guest" || return; done
}

hvt_images() {
    local name
    for name in hello exit segv idle; do solo5_image "$guests/$name.hvt" || return; done
}

# Debian's kernel, by `docker build`. Many emulated machines at once make its test of its timer fail, and it panics.
linux_image() {
    local tree=$URUNC_DOCKER_DIR/linux
    mkdir -p "$tree"
    "$top/scripts/linux-image.sh" "$tree"
    urunc_json unikernelType linux hypervisor qemu binary /boot/vmlinuz initrd /boot/initrd >"$tree/urunc.json"
    printf '%s\n' 'FROM scratch' 'COPY vmlinuz initrd /boot/' 'COPY urunc.json /' 'ENV no_timer_check=1' \
        'CMD ["/app", "serve"]' >"$tree/Dockerfile"
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
