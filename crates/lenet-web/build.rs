//! Tells whether `dist` has the library for browsers.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(compiled)");
    println!("cargo::rerun-if-changed=dist");
    if Path::new("dist/lenet_bg.wasm").exists() {
        println!("cargo::rustc-cfg=compiled");
    }
}
