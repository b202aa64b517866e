//! Prints a table of networks as C source: sizes, multiply-adds, and accuracy on MNIST's test images.
//!
//! ```sh
//! cargo run --release --package lenet-cli --example c_source_accuracy
//! ```

use std::{fs, path::Path, process::Command};

use anyhow::{Context, ensure};
use lenet::{
    PIXELS,
    c_source::{self, CSource},
    pretrained,
};

/// Training images that the ranges of 8-bit activations are found on, as many as `lenet export` takes.
const CALIBRATION_IMAGES: usize = 1000;

/// Reads images from standard input, and writes the most probable class of each.
const MAIN: &str = r#"
#include "net.h"
#include <stdio.h>

int main(void) {
    static struct net_workspace workspace;
    uint8_t pixels[NET_PIXELS];
    while (fread(pixels, 1, NET_PIXELS, stdin) == NET_PIXELS) putchar(net_predict(&workspace, pixels));
    return 0;
}
"#;

fn main() -> anyhow::Result<()> {
    let (train, test) = (lenet_mnist::train(), lenet_mnist::test());
    let folder = tempfile::tempdir()?;
    let images = folder.path().join("images");
    fs::write(&images, test.images())?;
    println!("| network | elements | constants | RAM | multiply-adds | test accuracy |");
    println!("|---|---|---:|---:|---:|---:|");
    for name in ["lenet5", "micro"] {
        let (network, _) = pretrained::by_name(name).context("a built-in network")?;
        let calibration = &train.images()[..CALIBRATION_IMAGES * PIXELS];
        let sources = [
            ("float", c_source::float(&network, "net")?),
            ("int8", c_source::int8(&network, "net", calibration)?),
        ];
        for (elements, source) in sources {
            let digits = run(folder.path(), &source, &images)?;
            let correct = digits.iter().zip(test.labels()).filter(|(digit, label)| digit == label).count();
            println!(
                "| `{name}` | {elements} | {} bytes | {} bytes | {} | {:.2}% |",
                source.constant_bytes,
                source.workspace_bytes,
                network.architecture().summary()?.iter().map(|row| row.multiply_adds).sum::<usize>(),
                100.0 * correct as f64 / test.len() as f64
            );
        }
    }
    Ok(())
}

/// Compiles a source and runs it on a file of images. Returns the class of each.
fn run(folder: &Path, source: &CSource, images: &Path) -> anyhow::Result<Vec<u8>> {
    for (name, text) in [("net.h", source.header.as_str()), ("net.c", &source.source), ("main.c", MAIN)] {
        fs::write(folder.join(name), text)?;
    }
    let compiler = ["-std=c99", "-O3", "main.c", "net.c", "-o", "main", "-lm"];
    let status = Command::new("cc").args(compiler).current_dir(folder).status().context("cc")?;
    ensure!(status.success(), "cc: {status}");
    let output = Command::new(folder.join("main")).stdin(fs::File::open(images)?).output()?;
    ensure!(output.status.success(), "{}", output.status);
    Ok(output.stdout)
}
