#!/usr/bin/env bash
# Measures larder beside hiredis, a C++ map, libmemcached, SQLite and CPython, and writes target/bench/report.md. See README.md in this folder.
# ROUNDS=n: rounds a contest. ONLY=a,b: contests whose title holds one of these texts. PYTHON: which Python fetches.
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/bench
release=${CARGO_TARGET_DIR:-target}/release
python=${PYTHON:-python3}
hiredis_tar=hiredis-3.5.0.tar.gz
hiredis_size=143423
hiredis_sha256=c227592cc56b7df247abe4755c26723965be68972be2149fa441ac33d82131ba
hiredis=$out/hiredis-3.5.0/vendor/hiredis
mkdir -p "$out"

say() { echo "bench: $*" >&2; }

need() {
    command -v "$1" >/dev/null || { say "$1 is needed (on Debian: apt-get install $2)"; exit 1; }
}

hiredis_is_good() {
    [ "$(stat -c %s "$1" 2>/dev/null)" = "$hiredis_size" ] &&
        echo "$hiredis_sha256  $1" | sha256sum --check --status
}

# hiredis 1.5.0 as C sources, inside the source archive of its Python binding: nothing of the binding is built.
fetch_hiredis() {
    if ! hiredis_is_good "$out/$hiredis_tar"; then
        say "fetching $hiredis_tar ($hiredis_size bytes) from PyPI with pip, for hiredis's C sources"
        rm -f "$out/$hiredis_tar"
        "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$out" \
            hiredis==3.5.0 >&2
        hiredis_is_good "$out/$hiredis_tar" || { say "$out/$hiredis_tar is not what was expected"; exit 1; }
    fi
    [ -f "$hiredis/hiredis.h" ] || tar -xzf "$out/$hiredis_tar" -C "$out"
}

# The SQLite that larder is linked with, for the baseline to be the same one: its header and its static library.
find_sqlite() {
    sqlite_header=$(cargo metadata --format-version 1 --locked | "$python" -c '
import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == "libsqlite3-sys":
        print(os.path.join(os.path.dirname(package["manifest_path"]), "sqlite3"))')
    # shellcheck disable=SC2012 # the newest, of names without spaces
    sqlite_library=$(ls -t "$release"/build/libsqlite3-sys-*/out/libsqlite3.a 2>/dev/null | head -n 1)
    [ -f "$sqlite_header/sqlite3.h" ] && [ -f "$sqlite_library" ] ||
        { say "SQLite of libsqlite3-sys is not where it was expected"; exit 1; }
}

# The shared library under its soname, as it would be installed, and the program that links it.
build() {
    say "building liblarder.so (release) and the program"
    cargo build --release --quiet
    soname=$(readelf --dynamic "$release/liblarder.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
    cp "$release/liblarder.so" "$out/$soname"
    strip --strip-unneeded -o "$out/stripped.so" "$out/$soname"
    local unit objects=() warnings=(-Wall -Wextra -Wpedantic -Werror)
    for unit in alloc async hiredis net read sds sockcompat; do
        cc -std=gnu99 -O3 -fPIC -c "$hiredis/$unit.c" -o "$out/hiredis-$unit.o"
        objects+=("$out/hiredis-$unit.o")
    done
    find_sqlite
    local own="main contest report load server client peer redis flight fly_hiredis fly_larder threads mc_server memcached"
    for unit in $own table pickle pipeline; do
        cc -std=gnu17 -O2 "${warnings[@]}" -Iinclude -isystem "$hiredis" -isystem "$sqlite_header" -c "benches/$unit.c" \
            -o "$out/$unit.o"
        objects+=("$out/$unit.o")
    done
    c++ -std=c++20 -O2 "${warnings[@]}" -Iinclude -c benches/memory.cc -o "$out/memory.o"
    # shellcheck disable=SC2016 # the loader reads $ORIGIN
    say "building redis-rs with cache-aio"
    cargo build --release --quiet --locked --manifest-path benches/cache_aio/Cargo.toml --target-dir "$out/cache_aio"
    cp "$out/cache_aio/release/libcache_aio.so" "$out/"
    c++ -o "$out/bench" "${objects[@]}" "$out/memory.o" "$out/$soname" "$out/libcache_aio.so" "$sqlite_library" -Wl,-rpath,'$ORIGIN' \
        -lmemcached -lpthread -lm -ldl
    cc -std=gnu17 -O2 "${warnings[@]}" benches/probe.c -o "$out/probe"
    echo 'int bench_nothing;' | cc -x c -shared -fPIC -o "$out/nothing.so" -
}

head_of_report() {
    echo "# larder beside hiredis, a C++ map, libmemcached, SQLite in C, and CPython"
    echo
    echo "$(date -u +%Y-%m-%dT%H:%MZ), $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)," \
        "$(nproc) cores, Linux $(uname -r), $(redis-server --version | cut -d' ' -f1-3)," \
        "$(memcached --version), $("$python" --version), $(cc --version | head -n 1)."
    echo "How to read this: benches/README.md. Ratios are to the baseline in the same round; less is faster."
}

median_dlopen() {
    for _ in $(seq 21); do "$out/probe" "$1"; done | sort -n | sed -n 11p
}

size_and_start() {
    local full empty
    full=$(median_dlopen "$PWD/$out/$soname")
    empty=$(median_dlopen "$PWD/$out/nothing.so")
    echo
    echo "## Size and start (a report)"
    echo
    echo "| what | |"
    echo "|---|---|"
    echo "| liblarder.so, stripped | $(stat -c %s "$out/stripped.so") bytes |"
    echo "| dlopen of it, median of 21 fresh processes | $((full / 1000)) us |"
    echo "| dlopen of an empty library | $((empty / 1000)) us |"
}

need cc gcc
need c++ g++
need strip binutils
need redis-server redis-server
need memcached memcached
need "$python" python3-pip
[ -e /usr/include/libmemcached/memcached.h ] || { say "libmemcached is needed (on Debian: apt-get install libmemcached-dev)"; exit 1; }
fetch_hiredis
build
private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
"$out/bench" "$private" "$out/summary.md" "$python" >"$out/contests.md"
{
    head_of_report
    echo
    echo "## The aims"
    echo
    cat "$out/summary.md" "$out/contests.md"
    size_and_start
} | tee "$out/report.md"
say "written to $out/report.md"
