//! `lenet predict`: the digits of unlabelled images, in the form of a Kaggle submission or with all logits.

use std::{fmt::Write, path::PathBuf};

use lenet::nn::argmax;
use serde_json::json;

use crate::{
    data,
    output::{print, write_atomically},
    weights_file::FormatArgs,
};

/// Read the digits of images without labels, as Kaggle's Digit Recognizer asks
#[derive(clap::Args)]
pub struct Args {
    /// The network: lenet5, vgg or handwriting, which are inside the program, or a .safetensors file
    network: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
    /// The images: a .csv file in the form of Kaggle's test.csv (pixel0,...,pixel783), or an IDX file, raw or .gz
    images: PathBuf,
    /// Where to write the answers [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write one JSON object for each image, with its logits, instead of ImageId,Label
    #[arg(long)]
    json: bool,
}

/// Writes an answer for each image; ids count from 1.
pub fn run(args: Args) -> anyhow::Result<()> {
    let network = args.format.load(&args.network)?;
    let logits = network.logits(&data::read_images(&args.images)?);
    let mut text = if args.json { String::new() } else { "ImageId,Label\n".to_owned() };
    for (id, logits) in (1..).zip(&logits) {
        let label = argmax(logits);
        let _ = if args.json {
            writeln!(text, "{}", json!({ "ImageId": id, "Label": label, "logits": logits }))
        } else {
            writeln!(text, "{id},{label}")
        };
    }
    match &args.out {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => print(text),
    }
}
