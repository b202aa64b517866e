//! `bind MODULE.wasm DIR NAME`: writes the WebAssembly module and its JavaScript bindings to DIR, as `NAME.js` and
//! `NAME_bg.wasm`.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let arguments = [(); 3].map(|()| arguments.next());
    let [Some(module), Some(folder), Some(name)] = arguments else {
        bail!("usage: bind MODULE.wasm DIR NAME")
    };
    let name = name.to_str().context("NAME: expected UTF-8")?;
    Bindgen::new()
        .input_path(module)
        .out_name(name)
        .web(true)?
        .omit_default_module_path(false)
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&folder)?;

    // The threads are started by a script of the page, because the one of wasm-bindgen-rayon makes its workers from blobs, which
    // the page's security policy forbids.
    let bindings = Path::new(&folder).join(format!("{name}.js"));
    let script = fs::read_to_string(&bindings)?;
    if let Some(import) = script.lines().find(|line| line.starts_with("import { startWorkers }")) {
        let replaced = script.replace(import, "import { startWorkers } from './rayon-workers.js';");
        fs::write(&bindings, replaced)?;
        fs::remove_dir_all(Path::new(&folder).join("snippets"))?;
    }
    Ok(())
}
