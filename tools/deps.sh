#!/usr/bin/env bash
# Sees to it that everything is there that the tests need. On Debian (as root or through sudo) it says what it installs
# and installs it; elsewhere, and with DEPS=no, it names what is missing and stops. Quick when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

python=target/python/bin/python
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

# Whether an interpreter has the packages that the tests compare with.
has_django() {
    "$1" -c 'import django, django_redis
assert django.VERSION[:2] == (5, 2) and django_redis.VERSION[0] == 7' >/dev/null 2>&1 </dev/null
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
    [[ " ${packages[*]} " != *" redis-server "* ]] ||
        say "(Debian may start redis-server as a service; the tests start their own and don't touch it)"
    as_root apt-get update --quiet --quiet </dev/null >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends \
        "${packages[@]}" </dev/null >&2
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
    say "making a Python environment in target/python: Django 5.2, django-redis 7 (from PyPI)"
    rm -rf target/python
    mkdir -p target
    python3 -m venv target/python </dev/null >&2
    "$python" -m pip install --quiet --disable-pip-version-check --no-cache-dir 'Django==5.2.*' 'django-redis==7.*' \
        </dev/null >&2
    has_django "$python" || { say "target/python does not work"; exit 1; }
}

command -v cargo >/dev/null || { say "Rust is missing: see https://rustup.rs"; exit 1; }
look
if [ -n "${LARDER_PYTHON:-}" ]; then
    has_django "$LARDER_PYTHON" || missing+=("Django 5.2 and django-redis 7 for LARDER_PYTHON=$LARDER_PYTHON")
    has_django "$LARDER_PYTHON" || stop_over_missing "LARDER_PYTHON is yours, so nothing is installed there."
fi
if [ "${DEPS:-}" = no ]; then
    [ -n "${LARDER_PYTHON:-}" ] || has_django "$python" || missing+=("target/python with Django 5.2 and django-redis 7")
    [ ${#missing[@]} = 0 ] || stop_over_missing "DEPS=no, so nothing is installed."
fi
install_packages
install_toolchains
[ -n "${LARDER_PYTHON:-}" ] || has_django "$python" || make_python_environment
look
[ ${#missing[@]} = 0 ] || stop_over_missing "something could not be installed."
say "everything is there"
