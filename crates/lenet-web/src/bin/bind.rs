//! `bind MODULE.wasm DIR`: writes the WebAssembly module and its JavaScript bindings to DIR.

use anyhow::Context;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (module, folder) = arguments.next().zip(arguments.next()).context("usage: bind MODULE.wasm DIR")?;
    Bindgen::new()
        .input_path(module)
        .out_name("lenet")
        .web(true)?
        .omit_default_module_path(false)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
}
