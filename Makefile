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
EXAMPLES := quickstart errors many callbacks shared_with_django
CFLAGS ?= -O2
STRICT := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror
C_TESTS := --test c_programs --test examples --test library

.PHONY: help build demo examples deps lint test test-release build-asan test-asan test-valgrind header bench install clean

help:
	@echo 'make build     the library: $(RELEASE)/liblarder.so and .a'
	@echo 'make demo      builds all and runs examples-c/quickstart.c; needs no server'
	@echo 'make test      installs what the tests need (see make deps), and runs them all'
	@echo 'make deps      what the tests need; DEPS=no only says what is missing'
	@echo 'make header    writes include/larder.h anew from src/capi'
	@echo 'make bench     compares with hiredis and a C++ map; writes target/bench/report.md'
	@echo 'make install   PREFIX=$(PREFIX) LIBDIR=$(LIBDIR) DESTDIR=; builds only if nothing is built'
	@echo 'make clean     removes target/'

build:
	cargo build --release --locked
	ln -sf liblarder.so "$(RELEASE)/$(SONAME)"

# The programs that users copy from, with the library beside them.
examples: build
	@mkdir -p "$(TARGET)/demo"
	@for name in $(EXAMPLES); do \
		$(CC) $(STRICT) $(CFLAGS) -Iinclude examples-c/$$name.c -o "$(TARGET)/demo/$$name" -L"$(RELEASE)" -llarder \
			-Wl,-rpath,'$$ORIGIN/../release' -pthread || exit 1; \
	done
	@cp examples-c/caches.json examples-c/shared.json examples-c/django_side.py "$(TARGET)/demo/"

# In target/demo, since the configuration names a folder relative to where it is read.
demo: examples
	@echo '--- quickstart'
	@cd "$(TARGET)/demo" && ./quickstart caches.json

deps:
	@tools/deps.sh

# Each family of backends can be left out.
lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	for feature in '' memory file redis; do \
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

test-valgrind: build
	LARDER_C_UNDER=valgrind LARDER_C_LIBRARY="$(abspath $(RELEASE))" cargo test --test c_programs --test examples

header:
	LARDER_WRITE_HEADER=1 cargo test --test header

bench: deps
	PYTHON=$(or $(LARDER_PYTHON),$(CURDIR)/target/python/bin/python) benches/run.sh

# What `make build` has made is installed as it is, so that root needs no cargo.
install:
	@test -e "$(RELEASE)/liblarder.so" -a -e "$(RELEASE)/liblarder.a" || $(MAKE) --no-print-directory build
	install -d "$(DESTDIR)$(PREFIX)/include" "$(DESTDIR)$(LIBDIR)/pkgconfig"
	install -m 644 include/larder.h "$(DESTDIR)$(PREFIX)/include/larder.h"
	install -m 755 "$(RELEASE)/liblarder.so" "$(DESTDIR)$(LIBDIR)/liblarder.so.$(VERSION)"
	ln -sf liblarder.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/$(SONAME)"
	ln -sf $(SONAME) "$(DESTDIR)$(LIBDIR)/liblarder.so"
	install -m 644 "$(RELEASE)/liblarder.a" "$(DESTDIR)$(LIBDIR)/liblarder.a"
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|^libdir=$(PREFIX)/|libdir=$${prefix}/|' tools/larder.pc.in > "$(DESTDIR)$(LIBDIR)/pkgconfig/larder.pc"

clean:
	cargo clean
