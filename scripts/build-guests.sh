#!/bin/sh
# Builds the own guests into dist/guests/: NAME.spt, NAME.hvt and virtio.elf. Needs the rustup target x86_64-unknown-none only.
set -eu
cd "$(dirname "$0")/.."
built=guests/target/x86_64-unknown-none/release
mkdir -p dist/guests
for abi in spt hvt; do
    # Some guests are for one of the two: what is there afterwards was made for this one.
    for source in guests/*/src/bin/*.rs; do rm -f "$built/$(basename "$source" .rs)"; done
    (cd guests && env -u RUSTFLAGS -u CARGO_BUILD_TARGET -u CARGO_TARGET_DIR \
        cargo build --release --locked --workspace --no-default-features --features "$abi" "$@")
    for source in guests/*/src/bin/*.rs; do
        name=$(basename "$source" .rs)
        [ ! -e "$built/$name" ] || install -m 644 "$built/$name" "dist/guests/$name.$abi"
    done
done
install -m 644 guests/target/x86_64-unknown-none/release/virtio dist/guests/virtio.elf
