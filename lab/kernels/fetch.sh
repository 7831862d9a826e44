#!/usr/bin/env bash
# Fetches Debian's cloud kernel of each suite named, unpacked for QEMU, into DIR:
#   fetch.sh [--modules] DIR SUITE...
# Prints the path of each. With --modules it is the kernel for any machine, which knows 9p, too,
# and its modules are in PATH.modules, as in an initramfs. The machine's own mirror is asked, by
# an apt state of our own, so that nothing of the machine's configuration changes.
set -euo pipefail

flavor=-cloud
suffix=
if [ "$1" = --modules ]; then
    flavor=
    suffix=-modules
    shift
fi
dir=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
arch=amd64
mkdir -p "$dir"/{lists/partial,archives/partial,kernels}
dir=$(cd "$dir" && pwd)

# The machine's sources in whatever format they are written.
uris=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sort -u)
main=$(grep -E '/debian/?$' <<<"$uris" | head -1 || true)
security=$(grep -E 'debian-security/?$' <<<"$uris" | head -1 || true)
[ -n "$main" ] || { echo "SKIP: no Debian mirror among apt's sources" >&2; exit 3; }
: "${security:=${main%/}-security}"

: >"$dir/sources.list"
for suite in "$@"; do
    case $suite in *-security) uri=$security ;; *) uri=$main ;; esac
    echo "deb [arch=$arch signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" >>"$dir/sources.list"
done
touch "$dir/status"
options=(
    -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State=$dir" -o "Dir::State::lists=$dir/lists" -o "Dir::State::status=$dir/status"
    -o "Dir::Cache=$dir" -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false
    -o APT::Sandbox::User=root -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
)

if ! cmp -s "$dir/sources.list" "$dir/sources.fetched"; then
    apt-get "${options[@]}" -qq update >&2
    cp "$dir/sources.list" "$dir/sources.fetched"
fi

for suite in "$@"; do
    kernel=$dir/kernels/$suite$suffix
    if [ ! -s "$kernel" ]; then
        # The meta package names the version.
        version=$(apt-cache "${options[@]}" show "linux-image$flavor-$arch/$suite" 2>/dev/null |
            sed -n "s/^Depends:.*linux-image-\([0-9][^ ,]*$flavor-$arch\).*/\1/p" | head -1)
        if [ -z "$version" ]; then
            echo "SKIP: $suite has no kernel linux-image$flavor-$arch" >&2
            continue
        fi
        # From 6.19 on vmlinuz lies in linux-binary-* and the modules in linux-modules-*, before
        # both in linux-image-*.
        image=linux-image-$version modules=linux-image-$version
        if apt-cache "${options[@]}" show "linux-binary-$version" >/dev/null 2>&1; then
            image=linux-binary-$version modules=linux-modules-$version
        fi
        packages=("$image")
        [ -z "$suffix" ] || [ "$modules" = "$image" ] || packages+=("$modules")
        if ! (cd "$dir/archives" && apt-get "${options[@]}" -qq download "${packages[@]}" >&2); then
            echo "SKIP: $suite: ${packages[*]} cannot be downloaded" >&2
            continue
        fi
        archive() { ls -t "$dir/archives/$1"_*.deb | head -1; }
        if [ -n "$suffix" ]; then
            rm -rf "$kernel.modules"
            mkdir "$kernel.modules"
            # The file systems and networks of a cluster, and how it finds its disk. From 6.19
            # on they lie below /usr.
            dpkg --fsys-tarfile "$(archive "$modules")" |
                tar -x -C "$kernel.modules" --wildcards '*/kernel/fs/*' '*/kernel/net/*' \
                    '*/drivers/virtio/*' '*/drivers/net/veth*' '*/modules.order' '*/modules.builtin*'
            find "$kernel.modules" -name '*.xz' -exec xz -d {} +
        fi
        dpkg --fsys-tarfile "$(archive "$image")" | tar -xO --wildcards '*/vmlinuz*' >"$kernel.vmlinuz"
        python3 "$here/unpack.py" "$kernel.vmlinuz" "$kernel.new"
        mv "$kernel.new" "$kernel"
        for package in "${packages[@]}"; do rm -f "$dir/archives/$package"_*.deb; done
        rm -f "$kernel.vmlinuz"
    fi
    echo "$kernel"
done
