# Everything one does with this repository. `make check` is the inner loop, `make test` is what CI runs.

SHELL    := /bin/bash
TARGET   := x86_64-unknown-linux-musl
CARGO    ?= cargo
PREFIX   ?= /usr/local
BASE      = $(DESTDIR)$(PREFIX)
RELEASE  := target/$(TARGET)/release
# What cargo fmt does not find: another workspace, modules of a registry.
RUSTFMT  := rustfmt --edition 2024 fuzz/src/*.rs fuzz/targets/*.rs crates/plan/src/guest/*.rs crates/plan/src/monitor/*.rs
# A workspace of its own: no flags and directories of this one.
GUESTS    = cd guests && env -u RUSTFLAGS -u CARGO_BUILD_TARGET -u CARGO_TARGET_DIR $(CARGO)

.DEFAULT_GOAL := build
.PHONY: build guests probe check fmt lint test test-guests sweep fuzz miri storm hostile mutants demo bench install clean docs

build: guests
	$(CARGO) build --release --locked --target $(TARGET) -p urunc
	install -D $(RELEASE)/urunc dist/urunc

guests:
	scripts/build-guests.sh

# The program that plays a monitor in the tests; never installed.
probe:
	$(CARGO) build --release --locked --target $(TARGET) -p probe
	install -D $(RELEASE)/probe dist/test/probe
	ln -f dist/test/probe dist/test/monitor

fmt:
	$(CARGO) fmt --all
	$(GUESTS) fmt --all
	$(RUSTFMT)

lint:
	scripts/check-deps.sh
	$(CARGO) fmt --all --check
	$(GUESTS) fmt --all --check
	$(RUSTFMT) --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(GUESTS) clippy --workspace --release --locked -- -D warnings
	$(GUESTS) clippy --workspace --release --locked --no-default-features --features hvt -- -D warnings

# The ledger's own tests need root, so they belong to `test`.
check: lint test-guests
	$(CARGO) test --workspace --exclude ledger --locked

# What the guests do without a device, on the host.
test-guests:
	$(GUESTS) test --locked --package net --package virtio --lib --target $(TARGET)

test:
	scripts/install-deps.sh
	scripts/test.sh

# All of the fault sweep; `make test` runs a tenth.
sweep: build probe
	$(CARGO) build --locked --package sweep
	target/debug/sweep

# Switches one defence after the other off, in a copy below target/: each must turn a test red. ONLY=A-01, or part of a name.
mutants: guests probe
	scripts/linux-image.sh dist/linux
	LINUX=$(CURDIR)/dist/linux $(CARGO) run --locked -p mutants -- $(if $(ONLY),--only "$(ONLY)")

# Hours of it: `make fuzz EACH=7200 JOBS=8`, seconds for each target.
fuzz:
	scripts/fuzz.sh $(or $(EACH),3600) $(or $(JOBS),2)

miri:
	scripts/miri.sh

# 12 000 lives without a failure, 2 000 with random kills, 400 that serve pages; guests that try everything, for ever.
storm: build probe
	scripts/suite.sh storm chaos net-storm

hostile: build probe
	scripts/suite.sh --endless hostile-guest

# The table of attacks, tests and mutants in docs/security.md.
docs:
	$(CARGO) run --locked -q -p suite --bin suite -- --catalogue docs/security.md

demo:
	scripts/install-deps.sh
	$(MAKE) build
	$(CARGO) build --release --locked --target $(TARGET) -p suite --bin first-byte
	install -D $(RELEASE)/first-byte dist/test/first-byte
	scripts/demo.sh

bench: build
	$(CARGO) build --release --locked --target $(TARGET) -p suite --bin bench --bin bench-network
	gcc -O2 -Wall -Wextra -o $(RELEASE)/connect tests/bench/connect.c
	$(RELEASE)/bench
	$(RELEASE)/bench-network $(RELEASE)/connect

# Manual pages and completions are what the binary prints, so it must run on this machine.
install: COMMANDS = $(shell dist/urunc --help | sed -n '/^COMMANDS/,/^$$/ s/^   \([a-z]*\) .*/\1/p')
install: FILE     = install -D -m 644 /dev/stdin $(BASE)/share
install:
	install -D -m 755 dist/urunc $(BASE)/bin/urunc
	dist/urunc man | $(FILE)/man/man8/urunc.8
	for name in $(COMMANDS); do dist/urunc man $$name | $(FILE)/man/man8/urunc-$$name.8 || exit; done
	dist/urunc completion bash | $(FILE)/bash-completion/completions/urunc
	dist/urunc completion zsh | $(FILE)/zsh/site-functions/_urunc
	dist/urunc completion fish | $(FILE)/fish/vendor_completions.d/urunc.fish

clean:
	$(CARGO) clean
	rm -rf dist guests/target
