//! Links the module so that it is never unloaded: a worker's threads and the statics of Rust's library outlive a
//! reload.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
