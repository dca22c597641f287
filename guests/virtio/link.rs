//! Links the guest with the layout of a kernel.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/virtio.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg-bins=-T{script}");
    println!("cargo:rustc-link-arg-bins=--build-id=none");
    println!("cargo:rustc-link-arg-bins=-zmax-page-size=0x1000");
}
