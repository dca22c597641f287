//! Build script of every crate of guests: links them with the Solo5 layout.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../solo5/solo5.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-link-arg-bins=-T{script}");
    println!("cargo:rustc-link-arg-bins=--build-id=none");
    println!("cargo:rustc-link-arg-bins=-zmax-page-size=0x1000");
}
