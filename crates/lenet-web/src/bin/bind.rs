//! `bind LIBRARY.wasm FOLDER`: writes the library to FOLDER as browsers load it, beside the script that does so.

use anyhow::Context;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (library, folder) =
        arguments.next().zip(arguments.next()).context("usage: bind LIBRARY.wasm FOLDER")?;
    Bindgen::new()
        .input_path(library)
        .out_name("lenet")
        .web(true)?
        .omit_default_module_path(false)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
}
