#!/bin/bash
# docker.sh: the test VM's Docker, with the defaults of its distribution (systemd's cgroup driver, cgroup v2, AppArmor),
# runs the line's two images. Docker's options are checked by tests/docker on any host.
set -uo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
export DOCKER=/usr/bin/docker DOCKER_BUILDKIT=0 URUNC_DOCKER_DIR=$top/docker
for part in check containers images; do . "$top/tests/docker/$part.sh"; done
group=docker
# Of the own guests only those that are run: an import takes seconds.
guests=$URUNC_DOCKER_DIR/guests
mkdir -p "$guests"
cp "$top"/dist/guests/{hello,idle}.spt "$guests/"

# Made on the host: here is no mirror.
linux_image() {
    local tree=$URUNC_DOCKER_DIR/linux
    mkdir -p "$tree/boot"
    cp "$top"/linux/{vmlinuz,initrd} "$tree/boot/"
    urunc_json unikernelType linux hypervisor qemu binary /boot/vmlinuz initrd /boot/initrd >"$tree/urunc.json"
    tar -C "$tree" -c . | docker import --change 'CMD ["/app", "serve"]' - linux >/dev/null
}

unit_of() { echo "docker-$(inspect "$1" '{{.Id}}').scope"; }
group_of() { echo "/sys/fs/cgroup/system.slice/$(unit_of "$1")"; }
unit_is() { equal "$(systemctl show -P "$2" "$(unit_of "$1")")" "$3"; }

prints_hello() { has "$(run --rm spt-hello 2>&1)" "hello from a solo5 guest"; }
starts_idle() { run -d --name idle -m 64m --cpus 0.5 --pids-limit 50 spt-idle >/dev/null && until_logged idle idle; }

# The process is in the scope, and the scope's files say what was asked for.
is_limited() {
    local dir
    dir=$(group_of "$1")
    equal "$(cat "$dir/cgroup.procs")" "$(pid_of "$1")" &&
        equal "$(cat "$dir/memory.max" "$dir/cpu.max" "$dir/pids.max" | tr '\n' ' ')" "67108864 50000 100000 50 "
}
is_known_to_systemd() {
    unit_is "$1" ActiveState active && unit_is "$1" MemoryMax 67108864 && unit_is "$1" TasksMax 50 &&
        unit_is "$1" CPUQuotaPerSecUSec 500ms && unit_is "$1" Delegate yes
}
stays_limited() { systemctl daemon-reload && is_limited "$1"; }

# The profile comes with an exec: init beside a monitor has its filter alone.
is_confined() { equal "$(cat "/proc/$(monitor_of "$1")/attr/current")" "docker-default (enforce)"; }

# Memory and time of the guest are accounted to its container.
is_accounted() {
    local dir
    dir=$(group_of "$1")
    at_least "$(cat "$dir/memory.current")" 1 && at_least "$(sed -n 's/^usage_usec //p' "$dir/cpu.stat")" 1 &&
        has "$(docker stats --no-stream --format '{{.MemUsage}}' "$1")" MiB
}

starts_linux() { run -d --name linux -p 8080:80 linux >/dev/null && answers linux 8080 "hello from Linux"; }
runs_on_kvm() {
    local pid
    pid=$(monitor_of linux)
    has "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "kvm" && [ -n "$(ls -l "/proc/$pid/fd" | grep kvm-vcpu)" ]
}

removed() {
    local unit dir
    unit=$(unit_of "$1") dir=$(group_of "$1")
    docker rm "$1" >/dev/null && equal "$(systemctl show -P LoadState "$unit")" not-found && [ ! -e "$dir" ]
}

check "dockerd starts" systemctl start docker
check "its defaults" equal "$(docker info --format '{{.CgroupDriver}} {{.CgroupVersion}}')" "systemd 2"
check "ordinary image" ordinary_image
check "an ordinary container runs" equal "$(run --rm ordinary echo hi 2>&1)" hi
check "images of the own guests" spt_images
check "hello prints" prints_hello
check "runs detached with limits" starts_idle
check "limits are in the scope's files" is_limited idle
check "limits are the unit's properties" is_known_to_systemd idle
check "limits outlive a daemon-reload" stays_limited idle
check "memory and time are accounted" is_accounted idle
check "the built-in monitor is confined" is_confined idle
check "docker restart: the same unit again" docker restart -t 2 idle
check "limits are there again" is_limited idle
check "docker stop ends it with 143" stops_with idle 143
check "nothing is left" removed idle
check "image of the Linux guest" linux_image
check "docker run -d -p answers curl" starts_linux
check "QEMU uses KVM" runs_on_kvm
check "QEMU is confined" is_confined linux
check "docker stop ends it with 143" stops_with linux 143
check "nothing is left of it" removed linux
report
