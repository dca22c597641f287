# Everything one does with this repository. `make check` is the inner loop, `make test` is what CI runs.

SHELL    := /bin/bash
TARGET   := x86_64-unknown-linux-musl
CARGO    ?= cargo
PREFIX   ?= /usr/local
RELEASE  := target/$(TARGET)/release

.DEFAULT_GOAL := build
.PHONY: build guests probe check fmt lint test demo bench install clean

build: guests
	$(CARGO) build --release --locked --target $(TARGET) -p urunc
	install -D $(RELEASE)/urunc dist/urunc

guests:
	scripts/build-guests.sh

# The program that plays a monitor in the tests; never installed.
probe:
	$(CARGO) build --release --locked --target $(TARGET) -p probe
	install -D $(RELEASE)/probe dist/test/probe

fmt:
	$(CARGO) fmt --all

lint:
	scripts/check-deps.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# The ledger's own tests need root, so they belong to `test`.
check: lint
	$(CARGO) test --workspace --exclude ledger --locked

test:
	scripts/install-deps.sh
	scripts/test.sh

demo:
	scripts/install-deps.sh
	$(MAKE) build
	scripts/demo.sh

bench: build
	$(CARGO) build --release --locked --target $(TARGET) -p suite --bin bench
	$(RELEASE)/bench

install:
	install -D -m 755 dist/urunc $(DESTDIR)$(PREFIX)/bin/urunc

clean:
	$(CARGO) clean
	rm -rf dist guests/target
