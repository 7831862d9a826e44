#!/usr/bin/env bash
# Runs the tests that look at a kernel on other kernels, with cgroup v2 and v1: Debian's cloud
# kernels, booted by QEMU without KVM. The programs are those that `make test` built.
#   kernels.sh [-l] [-k "SUITE..."] [-c "v2 v1 hybrid"] [-p "PACKAGE..."] [-t PROGRAM] [-j BOOTS_AT_ONCE] [FILTER...]
# FILTER is a test's name or a part of one, as with cargo test; -t takes one test program alone, and
# -l its long tests, too, those that are ignored elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

# Linux 5.10, 6.1, 6.12 and the newest that Debian has.
suites="bullseye-security bookworm-security trixie trixie-backports"
modes="v2 v1"
packages="sexton-lab sexton-scan sexton-reap sexton"
jobs=2 only="" long="" seconds=1200
while getopts lk:c:p:t:j: option; do
    case $option in
    l) long=--include-ignored seconds=5400 ;; t) only=$OPTARG ;;
    k) suites=$OPTARG ;; c) modes=$OPTARG ;; p) packages=$OPTARG ;; j) jobs=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
filters=$*

skip() {
    echo "SKIP: other kernels: $1"
    exit 0
}

[ "$(uname -m)" = x86_64 ] || skip "only x86_64 is wired up"
command -v apt-get >/dev/null || skip "no apt-get to fetch kernels with"
needs=(qemu-system-x86_64 busybox cpio xz zstd lz4 python3)
scripts/setup "${needs[@]}"
for need in "${needs[@]}"; do
    command -v "$need" >/dev/null || skip "$need is not installed"
done

cache=$PWD/lab/.cache/kernels
out=$cache/out
root=$cache/root
rm -rf "$out" "$root"
mkdir -p "$out"

# --- what to run
cargo build --workspace --locked --bins
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
selected=()
for package in $packages; do selected+=(-p "$package"); done
# shellcheck disable=SC2016
mapfile -t tests < <(cargo test --locked --no-run --message-format=json "${selected[@]}" 2>/dev/null |
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("profile", {}).get("test") and message.get("executable"):
        print(message["executable"])')
# A cluster needs more than a runtime and busybox: lab/cluster/in-vm.
for i in "${!tests[@]}"; do
    case $(basename "${tests[i]}") in
    cluster-????????????????) unset "tests[i]" ;;
    "$only"-????????????????) ;;
    *) [ -z "$only" ] || unset "tests[i]" ;;
    esac
done
[ ${#tests[@]} -gt 0 ] || { echo "no test was built" >&2; exit 1; }

# --- a root file system: busybox, the runtimes, the tests, and the libraries they load
mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc,tmp,proc,sys,dev,new,root,run,var}
ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root/"
cp "$(command -v busybox)" "$root/usr/bin/busybox"
for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/usr/bin/$applet"
done
copy() { # FILE: to the same place, without its debugging symbols, with its libraries
    local file library
    file=$(readlink -f "$1")
    mkdir -p "$root$(dirname "$1")"
    [ -e "$root$1" ] && [ ! -L "$root$1" ] && return
    rm -f "$root$1"
    strip -o "$root$1" "$file" 2>/dev/null || cp "$file" "$root$1"
    chmod 755 "$root$1"
    for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
        case $library in /lib* | /bin*) library=/usr$library ;; esac
        [ -e "$root$library" ] || copy "$library"
    done
}
PATH=$PATH:/usr/sbin
for program in bash runc crun unshare setpriv flock; do
    if path=$(command -v $program); then copy "$path"; fi
done
# Many an attack is written in it. Debian's, whose library lies in one place.
if [ -x /usr/bin/python3 ]; then
    python=$(readlink -f /usr/bin/python3)
    library=/usr/lib/$(basename "$python")
    copy "$python"
    ln -s "$(basename "$python")" "$root/usr/bin/python3"
    (cd / && find "${library#/}" -name '*.py' -not -path '*/test/*' -not -path '*/idlelib/*' |
        cpio --pass-through --make-directories --quiet "$root")
    for module in "$library"/lib-dynload/*.so; do copy "$module"; done
fi
for file in "$target"/debug/{sexton,sexton-init,sexton-test-leak} "$target"/sexton-test-{go/crawler,c/actor} \
    "$target"/debug/examples/* "${tests[@]}"; do
    # Cargo keeps each example twice, the second time with a hash in its name.
    case $(basename "$file") in *-????????????????) [[ " ${tests[*]} " == *" $file "* ]] || continue ;; esac
    if [ -f "$file" ] && [ -x "$file" ]; then copy "$file"; fi
done
# What tests read of the repository they read where they were built.
mkdir -p "$root$PWD/crates/sexton" "$root/etc/ssl/certs"
# A client of Kubernetes asks for some, whatever it connects to.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" || true
cp -r docs charts deploy "$root$PWD/"
echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
cp lab/kernels/init "$root/init"
{
    echo 'export RUST_TEST_THREADS=2 HOME=/root SEXTON_LAB_PATIENCE=600; status=0'
    # What does not depend on the kernel is left out: an emulated processor is slow.
    options="--show-output $long --skip help:: --skip schema:: --skip terminal::"
    echo "export SEXTON_HOSTILE_SECONDS=${SEXTON_HOSTILE_SECONDS:-600}"
    for test in "${tests[@]}"; do
        echo "echo; echo 'Running $(basename "$test")'; timeout $seconds $test $options $filters </dev/null 2>&1 || status=1"
    done
    echo 'exit $status'
} >"$root/tests"
(cd "$root" && find . | cpio --create --format=newc --quiet) >"$cache/initramfs"

# --- the boots
mapfile -t kernels < <(lab/kernels/fetch.sh "$cache" $suites)
[ ${#kernels[@]} -gt 0 ] || skip "no kernel could be had"

boot() { # KERNEL MODE
    local log
    log=$out/$(basename "$1")-$2
    timeout -k 5 $((seconds + 600)) qemu-system-x86_64 -M pc -cpu max -accel tcg,thread=multi -smp 2 -m 1536 \
        -nodefaults -no-user-config -display none -no-reboot -serial stdio \
        -kernel "$1" -initrd "$cache/initramfs" \
        -append "console=ttyS0 quiet panic=-1 cg=$2" </dev/null 2>&1 | sed -u 's/\r//g' >"$log" || true
    if grep -q '^EXIT 0$' "$log"; then
        echo "ok   $(grep -a -m1 -o 'BOOTED.*' "$log"): $(scripts/total "$log")"
    else
        echo "BAD  $(basename "$1") $2: $(scripts/total "$log"), see $log"
        grep -a -E 'panicked at|^test .*FAILED|Kernel panic|^EXIT|SKIP: ' "$log" | head -40 || true
        return 1
    fi
}

failed=0
pids=()
for kernel in "${kernels[@]}"; do
    for mode in $modes; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do sleep 0.2; done
        boot "$kernel" "$mode" &
        pids+=($!)
    done
done
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit "$failed"
