//! Sets the cfg `wasm_compiled` if `dist` has the WebAssembly module.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(wasm_compiled)");
    println!("cargo::rerun-if-changed=dist");
    if Path::new("dist/lenet_bg.wasm").exists() {
        println!("cargo::rustc-cfg=wasm_compiled");
    }
}
