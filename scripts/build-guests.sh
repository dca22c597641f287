#!/bin/sh
# Builds the own guests into dist/guests/, NAME.spt and virtio.elf. Needs the rustup target x86_64-unknown-none only.
set -eu
cd "$(dirname "$0")/.."
(cd guests && env -u RUSTFLAGS -u CARGO_BUILD_TARGET -u CARGO_TARGET_DIR cargo build --release --locked "$@")
mkdir -p dist/guests
for source in guests/*/src/bin/*.rs; do
    name=$(basename "$source" .rs)
    install -m 644 "guests/target/x86_64-unknown-none/release/$name" "dist/guests/$name.spt"
done
install -m 644 guests/target/x86_64-unknown-none/release/virtio dist/guests/virtio.elf
