#!/bin/sh
# Builds tini and dumb-init statically with musl, as Alpine ships them, from Debian's source
# packages, into the directory given. Needs Debian, musl-tools, xxd and the network; changes
# nothing outside that directory.
set -eu

into=${1:?usage: musl-rivals.sh DIRECTORY}
mkdir -p "$into/lists/partial"
cd "$into"
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$PWD/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$PWD/lists" "$@"
}
# The archive that this machine uses for its packages, for their sources.
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) main' 'Created-By: Packages' \
    | sort -u >sources.list
apt update
# Only the original archives matter; a mirror may lack Debian's part.
apt source --download-only tini dumb-init || true
for archive in tini_*.orig.tar.gz dumb-init_*.orig.tar.gz; do tar xf "$archive"; done

( cd tini-*/ && version=${PWD##*-} && mkdir -p generated \
    && printf '#define TINI_VERSION "%s"\n#define TINI_GIT ""\n' "$version" >generated/tiniConfig.h \
    && xxd -i LICENSE >generated/tiniLicense.h \
    && musl-gcc -static -s -Os -std=gnu99 -Igenerated -DPR_SET_CHILD_SUBREAPER=36 \
        -DPR_GET_CHILD_SUBREAPER=37 -o ../tini-musl src/tini.c )
( cd dumb-init-*/ && musl-gcc -static -s -Os -std=gnu99 -o ../dumb-init-musl dumb-init.c )
ls -l tini-musl dumb-init-musl
