#!/usr/bin/env bash
# Installs into a folder under target/, with a space in its name and a library folder of its own, and builds programs
# with nothing but what is there: with the shared library, and with the static one while the shared one lies beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

stage="$PWD/target/stage folder"
rm -rf "$stage"
make --no-print-directory install DESTDIR="$stage" PREFIX=/usr LIBDIR=/usr/lib/here
libdir=$stage/usr/lib/here

export PKG_CONFIG_LIBDIR=$libdir/pkgconfig
[ "$(pkg-config --variable=libdir larder)" = /usr/lib/here ]
# pkg-config puts a sysroot before paths, but does not quote it: the paths are redefined instead.
ask() { pkg-config --define-variable=prefix="$stage/usr" --define-variable=libdir="$libdir" "$@" larder; }
strict=(-std=c11 -Wall -Wextra -Wpedantic -Werror)

# build <program> <flags of the compiler …>
build() {
    local program=$1
    shift
    cc "${strict[@]}" examples-c/many.c "$@" -o "$stage/$program"
}
runs() { LD_LIBRARY_PATH=$libdir "$stage/$1" | grep -q '3 of 4 found'; }
needs() { LD_LIBRARY_PATH=$libdir ldd "$stage/$1" 2>&1; }

eval "build shared $(ask --cflags --libs)"
runs shared
grep -qF "liblarder.so.0 => $libdir/liblarder.so.0" <<<"$(needs shared)"

# As the README says: the archive by its path, or chosen by the linker, or all of the program static.
eval "private=($(ask --static --libs-only-l | sed 's/-llarder//'))"
eval "include=($(ask --cflags))"
build by-path "${include[@]}" "$(ask --variable=libdir)/liblarder.a" "${private[@]}"
build chosen "${include[@]}" -L"$libdir" -Wl,-Bstatic -llarder -Wl,-Bdynamic "${private[@]}"
eval "build all-static -static $(ask --cflags --static --libs)"
[ -e "$libdir/liblarder.so" ]
for program in by-path chosen all-static; do
    runs "$program"
    if grep -q liblarder <<<"$(needs "$program")"; then
        echo "$program needs the shared library" >&2
        exit 1
    fi
done

# What users copy needs no more than C11, and the feature macros that it defines itself.
for example in examples-c/*.c; do
    cc "${strict[@]}" "${include[@]}" -fsyntax-only "$example"
done

# What is built is installed without cargo.
mkdir "$stage/bin"
printf '#!/bin/sh\nexit 1\n' >"$stage/bin/cargo"
chmod +x "$stage/bin/cargo"
PATH=$stage/bin:$PATH make --no-print-directory --silent install DESTDIR="$stage/again" PREFIX=/usr
grep -qxF 'libdir=${prefix}/lib' "$stage/again/usr/lib/pkgconfig/larder.pc"
rm -rf "$stage"
echo "installed, and linked shared and static"
