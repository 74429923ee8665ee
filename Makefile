# The few commands. Everything is built under target/ (or CARGO_TARGET_DIR), but for `make install`.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=

TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
ASAN_TRIPLE := x86_64-unknown-linux-gnu
ASAN := $(TARGET)/asan/$(ASAN_TRIPLE)/debug
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SONAME := liblarder.so.0
EXAMPLES := quickstart errors many callbacks shared_with_django session create_table epoll_queue game_loop prefork cancel \
	libuv_queue lock pipeline plugin stampede
CFLAGS ?= -O2
STRICT := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror
# Where the bindings' tests find the library: the release, or a folder that is given.
BINDINGS_LIBRARY := $(abspath $(or $(LARDER_LIBRARY_DIR),$(RELEASE)))
C_TESTS := --test c_programs --test examples --test library

.PHONY: help build demo examples deps lint test test-release build-asan test-asan build-tsan test-tsan test-valgrind \
	bindings-library test-ruby test-go faults soak fuzz header bench install clean

help:
	@echo 'make build     the library: $(RELEASE)/liblarder.so and .a'
	@echo 'make demo      builds all and runs examples-c/quickstart.c; needs no server'
	@echo 'make test      installs what the tests need (see make deps), and runs them all'
	@echo 'make test-ruby, make test-go   the bindings, with the release or the library in LARDER_LIBRARY_DIR'
	@echo 'make deps      what the tests need; DEPS=no only says what is missing'
	@echo 'make faults    what faults of the network cost the calls that meet them, as a table'
	@echo 'make soak      the near cache among writers, SOAK_SECONDS=20 for each of two tests; `make test` takes 2'
	@echo 'make fuzz      every decoder, FUZZ_SECONDS=600 for each; needs nightly Rust'
	@echo 'make header    writes include/larder.h anew from src/capi'
	@echo 'make bench     compares with hiredis, libmemcached, SQLite, CPython …; writes target/bench/report.md'
	@echo 'make install   PREFIX=$(PREFIX) LIBDIR=$(LIBDIR) DESTDIR=; builds only if nothing is built'
	@echo 'make clean     removes target/'

build:
	cargo build --release --locked
	ln -sf liblarder.so "$(RELEASE)/$(SONAME)"

# The programs that users copy from, with the library beside them. Only libuv_queue needs another library.
examples: build
	@mkdir -p "$(TARGET)/demo"
	@for name in $(EXAMPLES); do \
		more=; \
		if [ $$name = libuv_queue ] && ! more="$$(pkg-config --cflags --libs libuv)"; then \
			echo 'libuv_queue is left out: it needs libuv'; continue; \
		fi; \
		$(CC) $(STRICT) $(CFLAGS) -Iinclude examples-c/$$name.c -o "$(TARGET)/demo/$$name" -L"$(RELEASE)" -llarder \
			-Wl,-rpath,'$$ORIGIN/../release' -pthread $$more || exit 1; \
	done
	@cp examples-c/caches.json examples-c/shared.json examples-c/database.json examples-c/pipeline*.json examples-c/django_side.py "$(TARGET)/demo/"

# In target/demo, since the configuration names a folder relative to where it is read.
demo: examples
	@echo '--- quickstart'
	@cd "$(TARGET)/demo" && ./quickstart caches.json

deps:
	@tools/deps.sh

# Each family of backends can be left out.
lint:
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --all-targets -- -D warnings
	for feature in '' memory file redis compressors tls memcached sqlite sqlite-system postgres mysql diskcache; do \
		cargo clippy --lib --no-default-features --features "$$feature" -- -D warnings || exit 1; \
	done

test:
	@tools/test.sh

test-release: build
	LARDER_C_LIBRARY="$(abspath $(RELEASE))" cargo test $(C_TESTS)

# Library and programs with AddressSanitizer and LeakSanitizer. The target triple is named so that build scripts and
# procedural macros stay as they are.
build-asan:
	CARGO_TARGET_DIR="$(TARGET)/asan" RUSTFLAGS=-Zsanitizer=address \
		cargo +nightly build --lib --target $(ASAN_TRIPLE)

test-asan: build-asan
	LARDER_C_UNDER=asan LARDER_C_LIBRARY="$(abspath $(ASAN))" cargo test --test c_programs --test examples

# The plain program tests/races with ThreadSanitizer: first with a race on purpose, which has to be found.
TSAN := $(TARGET)/tsan/$(ASAN_TRIPLE)/debug
TSAN_OPTIONS := suppressions=$(CURDIR)/tests/races/suppressions.txt exitcode=66

build-tsan:
	CARGO_TARGET_DIR="$(TARGET)/tsan" \
		RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg larder_tsan" \
		cargo +nightly build --target $(ASAN_TRIPLE) --test races

test-tsan: build-tsan
	@program=$$(ls -t "$(TSAN)"/deps/races-* | grep -v '\.d$$' | head -n 1); \
	TSAN_OPTIONS="$(TSAN_OPTIONS)" "$$program" bug >/dev/null 2>&1; \
	test $$? = 66 || { echo 'ThreadSanitizer did not find the race on purpose' >&2; exit 1; }; \
	TSAN_OPTIONS="$(TSAN_OPTIONS)" LARDER_RACES_ROUNDS=100 "$$program"

test-valgrind: build
	LARDER_C_UNDER=valgrind LARDER_C_LIBRARY="$(abspath $(RELEASE))" cargo test --test c_programs --test examples

ifdef LARDER_LIBRARY_DIR
bindings-library:
	ln -sf liblarder.so "$(BINDINGS_LIBRARY)/$(SONAME)"
else
bindings-library: build
endif

test-ruby: bindings-library
	cd bindings/ruby && LARDER_LIBRARY_DIR="$(BINDINGS_LIBRARY)" timeout -k 10 600 ruby -w -Ilib -Itest test/all.rb

# Everything with the race detector; then with a collector that runs all the time, and cgo's strictest checks (which
# later versions of Go want to be built in).
test-go: export CGO_CFLAGS = -I$(CURDIR)/include
test-go: export CGO_LDFLAGS = -L$(BINDINGS_LIBRARY) -Wl,-rpath,$(BINDINGS_LIBRARY)
test-go: export GOPROXY = off
test-go: bindings-library
	@test -z "$$(gofmt -l bindings/go)" || { gofmt -d bindings/go; exit 1; }
	cd bindings/go/larder && go vet . && go test -count=1 -race .
	cd bindings/go/larder && case "$$(go version)" in \
		*go1.19*|*go1.20*) export GODEBUG=cgocheck=2,invalidptr=1 ;; \
		*) export GOEXPERIMENT=cgocheck2 GODEBUG=invalidptr=1 ;; \
	esac && GOGC=1 go test -count=1 .

# What each fault of the network costs the calls that meet it, as a table.
faults:
	cargo test --test faults -- --nocapture

# Random writers against the near cache's readers, without and with connections that are killed, for longer than
# `make test` does.
SOAK_SECONDS ?= 20

soak:
	LARDER_SOAK_SECONDS=$(SOAK_SECONDS) cargo test --test near_cache soak -- --nocapture

# Every decoder, two at a time, and the reply decoder against redis-rs's parser, for longer than `make test` does:
# FUZZ_SECONDS for each. What was found stays in $(TARGET)/fuzz, and a later run goes on from there.
FUZZ_SECONDS ?= 600

fuzz:
	tools/fuzz.sh $(FUZZ_SECONDS) 2
	LARDER_FUZZ_SECONDS=$(FUZZ_SECONDS) cargo test --release --lib oracle

header:
	LARDER_WRITE_HEADER=1 cargo test --test header

bench: deps
	PYTHON=$(or $(LARDER_PYTHON),$(CURDIR)/target/python/bin/python) benches/run.sh

# What `make build` has made is installed as it is, so that root needs no cargo. Where it was built with `sqlite-system` the
# static library needs the system's SQLite.
install:
	@test -e "$(RELEASE)/liblarder.so" -a -e "$(RELEASE)/liblarder.a" || $(MAKE) --no-print-directory build
	install -d "$(DESTDIR)$(PREFIX)/include" "$(DESTDIR)$(LIBDIR)/pkgconfig"
	install -m 644 include/larder.h "$(DESTDIR)$(PREFIX)/include/larder.h"
	install -m 755 "$(RELEASE)/liblarder.so" "$(DESTDIR)$(LIBDIR)/liblarder.so.$(VERSION)"
	ln -sf liblarder.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/$(SONAME)"
	ln -sf $(SONAME) "$(DESTDIR)$(LIBDIR)/liblarder.so"
	install -m 644 "$(RELEASE)/liblarder.a" "$(DESTDIR)$(LIBDIR)/liblarder.a"
	sqlite=; if grep -q 'libsqlite3\.so' "$(RELEASE)/liblarder.so"; then sqlite=' -lsqlite3'; fi; \
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' -e "s|@SQLITE@|$$sqlite|" \
		-e 's|^libdir=$(PREFIX)/|libdir=$${prefix}/|' tools/larder.pc.in > "$(DESTDIR)$(LIBDIR)/pkgconfig/larder.pc"

clean:
	cargo clean
