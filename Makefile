# Shortcuts; bare `make` lists them. Cargo does the work.

CARGO ?= cargo
ARGS  ?=

# Most tests wait most of the time.
export RUST_TEST_THREADS ?= 8

.DEFAULT_GOAL := help
.PHONY: help build run test test-poll test-workers lint doc demo bench clients

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-20s %s\n", $$1, $$2 }'

build: ## build the library and the program, optimised
	$(CARGO) build --release

run: ## share the current folder, writable, on port 2121 (other flags: ARGS="-p 2122")
	$(CARGO) run --release -- -w $(ARGS)

test: clients-if-possible ## run all tests; installs the FTP clients they drive if it can
	$(CARGO) test --workspace $(ARGS)

# All that waits for events, at the library's end or the program's. Tests of the source, of tools and of users of the
# system have nothing to do with it.
test-poll: export RUSTC_WRAPPER := $(CURDIR)/tests/rustc-poll
test-poll: export CARGO_TARGET_DIR := target/poll
test-poll: export FTPDLIB_TEST_POLLER := poll
test-poll: clients-if-possible ## run the tests of library, program and reactor on the poll(2) backend
	@sh tests/rustc-poll --seed
	$(CARGO) test --workspace --lib $(POLL_TESTS:%=--test %) $(ARGS)

POLL_TESTS = wire tls clients program workers leaks $(patsubst reactor/tests/%.rs,%,$(wildcard reactor/tests/*.rs))

# Tests that share memory with callbacks cannot be where those run in other processes. Those that fork have a process of
# their own.
test-workers: clients-if-possible ## run the tests over the wire in every other worker model
	FTPDLIB_TEST_WORKERS=multi-thread $(CARGO) test --test wire --test tls --test clients $(ARGS)
	for model in multi-proc pre-fork; do \
	    FTPDLIB_TEST_WORKERS=$$model sh tests/each-alone --test wire --test tls --test clients $(ARGS) -- \
	        --skip offload:: --skip decisions:: --skip pool:: --skip slow_files:: || exit 1; \
	done

lint: ## check format, and clippy with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --lib --no-default-features -- -D warnings

doc: export RUSTDOCFLAGS := -D warnings
doc: ## build the documentation, with warnings as errors
	$(CARGO) doc --workspace --no-deps

demo: ## build the demos and say how to run them
	$(CARGO) build --examples
	@for file in demo/*.rs; do \
	    name=$$(basename $$file .rs); \
	    printf '  cargo run --example %-18s %s\n' $$name "$$(sed -n '1s,^//! ,,p' $$file)"; \
	done

# More open files than usual, as far as this user may: each idle client is one on both sides.
OPEN_FILES = ulimit -n 130000 2>/dev/null || ulimit -n "$$(ulimit -H -n)"

bench: build ## measure speed and memory on this machine, in short
	@$(OPEN_FILES); $(CARGO) run --release --bin ftpbench -- --quick $(ARGS)

# Files in memory where there is a folder for that: no disk is measured.
bench-compare: export BENCH_FOLDER ?= $(shell [ -w /dev/shm ] && echo /dev/shm)
bench-compare: build peers ## measure beside other servers, 20 minutes, into docs/benchmarks.md
	@$(COMPARE) --json docs/benchmarks.json --svg docs/benchmarks --markdown docs/benchmarks.md $(ARGS)

bench-compare-quick: export BENCH_FOLDER ?= $(shell [ -w /dev/shm ] && echo /dev/shm)
bench-compare-quick: build peers ## ... in short, to standard output only (ARGS="-b retr --server vsftpd")
	@$(COMPARE) --quick $(ARGS)

COMPARE = $(OPEN_FILES); target/release/ftpbench --compare tests/peers --server-cpu 0 --client-cpu 1 \
    --certificate target/peers/cert.pem --key target/peers/key.pem

# What can't be had is said by its script, and left out.
.PHONY: bench-compare bench-compare-quick peers
peers:
	@sh tests/peers/install
	@$(CARGO) build --release --example bare_loops

# Where only root may raise the limit on open files, and root may not: in a virtual machine.
.PHONY: bench-idle
bench-idle: build ## hold up to 50,000 idle clients in a machine of its own, half an hour
	@sh tests/machine/run tests/machine/idle $(ARGS)

clients: ## install the FTP clients that the tests drive (apt-get, as root or by sudo)
	@sh tests/install-clients

# The tests that need a client say by themselves what its absence means.
.PHONY: clients-if-possible
clients-if-possible:
	@sh tests/install-clients || true
