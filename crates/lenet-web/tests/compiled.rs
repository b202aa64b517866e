//! The WebAssembly modules in `dist`.

#![cfg(unix)]

use std::{fs, path::Path, process::Command};

#[test]
fn modules_are_compiled_from_the_sources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(folder.join("source-digest")).output().unwrap();
    let today = String::from_utf8(output.stdout).unwrap();
    let recorded = fs::read_to_string(folder.join("dist/SOURCES")).unwrap();
    assert_eq!(
        recorded, today,
        "the sources have changed: run crates/lenet-web/compile and commit crates/lenet-web/dist"
    );
}
