//! Link arguments of the shared library.

/// The number after `liblarder.so.`: raised only when the C ABI breaks.
const SOVERSION: u32 = 0;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liblarder.so.{SOVERSION}");
        // Runtime threads and fork handlers outlive dlclose: the code has to stay mapped.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
