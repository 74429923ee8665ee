#!/usr/bin/env bash
# Runs every check, and tells how long each took. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

times=()

step() {
    local name=$1 began=$SECONDS
    shift
    echo "== $name"
    if ! "$@" </dev/null; then
        echo "== $name: FAILED after $((SECONDS - began)) s" >&2
        exit 1
    fi
    times+=("$(printf '%5d s  %s' $((SECONDS - began)) "$name")")
}

step "dependencies" make --no-print-directory deps
step "format and lints" make --no-print-directory lint
step "build of the tests" cargo test --no-run
step "tests" cargo test
step "build of the release" make --no-print-directory build
step "C programs, with the release library" make --no-print-directory test-release
step "Ruby, with the release library" make --no-print-directory test-ruby
step "Go, with the release library" make --no-print-directory test-go
step "demo" make --no-print-directory demo
step "installation" tools/check_install.sh
step "build with AddressSanitizer" make --no-print-directory build-asan
step "C programs under AddressSanitizer" make --no-print-directory test-asan
step "build with ThreadSanitizer" make --no-print-directory build-tsan
step "many threads under ThreadSanitizer" make --no-print-directory test-tsan
step "C programs under valgrind" make --no-print-directory test-valgrind
step "build of the fuzz targets" tools/fuzz.sh 0
step "fuzzing, 60 s a decoder" tools/fuzz.sh 60 $((3 * $(nproc)))

echo "== all passed"
printf '%s\n' "${times[@]}"
printf '%5d s  together\n' "$SECONDS"
