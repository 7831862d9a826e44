#!/usr/bin/env bash
# Fetches Debian's cloud kernel of each suite named, unpacked for QEMU, into DIR:
#   fetch.sh DIR SUITE...
# Prints the path of each. The machine's own mirror is asked, by an apt state of our own, so
# that nothing of the machine's configuration changes.
set -euo pipefail

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
    kernel=$dir/kernels/$suite
    if [ ! -s "$kernel" ]; then
        # The meta package names the version.
        version=$(apt-cache "${options[@]}" show "linux-image-cloud-$arch/$suite" 2>/dev/null |
            sed -n "s/^Depends:.*linux-image-\([0-9][^ ,]*-cloud-$arch\).*/\1/p" | head -1)
        if [ -z "$version" ]; then
            echo "SKIP: $suite has no cloud kernel" >&2
            continue
        fi
        # From 6.19 on vmlinuz lies in linux-binary-*, before in linux-image-*.
        package=linux-image-$version
        if apt-cache "${options[@]}" show "linux-binary-$version" >/dev/null 2>&1; then
            package=linux-binary-$version
        fi
        if ! (cd "$dir/archives" && apt-get "${options[@]}" -qq download "$package" >&2); then
            echo "SKIP: $suite: $package cannot be downloaded" >&2
            continue
        fi
        package=$(ls -t "$dir/archives/$package"_*.deb | head -1)
        dpkg --fsys-tarfile "$package" | tar -xO --wildcards '*/vmlinuz*' >"$kernel.vmlinuz"
        python3 "$here/unpack.py" "$kernel.vmlinuz" "$kernel.new"
        mv "$kernel.new" "$kernel"
        rm -f "$kernel.vmlinuz" "$package"
    fi
    echo "$kernel"
done
