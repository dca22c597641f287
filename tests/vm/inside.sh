#!/bin/bash
# inside.sh: what the test VM runs, as root, on the tree that the host shares. Every group ends with a line `done NAME
# PASSED FAILED SKIPPED`.
set -uo pipefail
share=$(cd "$(dirname "$0")/../.." && pwd)
# A copy: the shared one is slow. Where it is on the host, because the suite knows its cases by that path.
top=$(cat "$share/top")
mkdir -p "$top"
cp -r "$share"/{dist,linux,scripts,target,tests} "$top/"
ln -s "$share/cases" "$top/"
cd "$top" || exit

# A monitor is trusted only where root alone can write.
install -D -t /var/lib/urunc-vm dist/test/{probe,monitor}
mkdir -p /var/lib/urunc-vm/tmp
install dist/urunc /usr/local/bin/
export RUNTIME=/usr/local/bin/urunc FLAVOUR=urunc MACHINE=vm
export GUESTS=$top/dist/guests LINUX=$top/linux PROBE=/var/lib/urunc-vm/probe TMPDIR=/var/lib/urunc-vm/tmp HOME=/root

# group NAME COMMAND...: adds up the command's closing lines; without one it has failed. The name is that on the list.
group() {
    local name=$1 log=$top/${1//\//-}.log code p f s
    shift
    echo "--- $name (at $(cut -d. -f1 /proc/uptime) s)"
    "$@" </dev/null 2>&1 | tee "$log" | grep --line-buffered -Ev '^group |^(docker: .*)?[0-9]+ passed, '
    code=${PIPESTATUS[0]}
    read -r p f s < <(sed -nE 's/^(docker: [0-9]+ run, )?([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped.*/\2 \3 \4/p' "$log" |
        awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
    if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    # Which call a filter has ended a process for.
    [ "$f" -eq 0 ] || dmesg | grep -a ' type=1326 '
    echo "done $name $p $f $s"
}

uname -sr
# Real KVM: the emulated processor has SVM.
modprobe kvm_amd
modprobe tun
for name in $(cat "$share/groups"); do
    case $name in
    # Linux boots on a processor that is emulated twice, and the more slowly the more often one looks.
    docker) URUNC_BOOT_SECONDS=170 URUNC_POLL_SECONDS=2 group docker tests/vm/docker.sh ;;
    */*) group "$name" target/debug/suite "${name%%/*}" --only "${name#*/}" ;;
    *) group "$name" target/debug/suite "$name" ;;
    esac
done
