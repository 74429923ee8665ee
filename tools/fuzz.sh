#!/usr/bin/env bash
# Runs the fuzz targets of fuzz/: tools/fuzz.sh SECONDS [JOBS [TARGET…]], each for so many seconds, so many at a time; with
# 0 seconds they are built only.
# It needs nightly Rust, and nothing else: the flags are those of cargo-fuzz. What a target finds first goes on in later
# runs (fuzz/corpus in the target folder); an input that fails is kept beside it, under artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=x86_64-unknown-linux-gnu
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz

# One target; xargs calls this.
run_one() {
    local name=$1 seconds=$2 log=$folder/logs/$1
    mkdir -p "$folder/corpus/$name" "$folder/seeds/$name"
    # ten minutes more for the end, which a hanging target would never reach
    if ! timeout -k 10 $((seconds + 600)) "$folder/$triple/release/$name" "$folder/corpus/$name" "$folder/seeds/$name" \
        -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$folder/artifacts/$name-" >"$log" 2>&1; then
        echo "$name: FAILED; the end of $log:" >&2
        tail -n 60 "$log" >&2
        return 1
    fi
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
        "$(find "$folder/corpus/$name" -type f | wc -l) kept"
}

if [ "${1-}" = --one ]; then
    run_one "$2" "$3"
    exit
fi

seconds=$1
jobs=${2:-$(nproc)}
if [ $# -gt 2 ]; then
    targets=("${@:3}")
else
    mapfile -t targets < <(sed -n 's/^path = "targets\/\(.*\)\.rs"$/\1/p' fuzz/Cargo.toml)
fi

coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0"
CARGO_TARGET_DIR=$folder RUSTFLAGS="$coverage --cfg fuzzing -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1" \
    cargo +nightly build --locked --release --bins --target "$triple" --manifest-path fuzz/Cargo.toml

if [ "$seconds" = 0 ]; then
    exit
fi
mkdir -p "$folder"/{artifacts,logs}
"${LARDER_PYTHON:-target/python/bin/python}" tools/fuzz_seeds.py "$folder/seeds"
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I '{}' tools/fuzz.sh --one '{}' "$seconds"
