//! `lenet predict`: predicts the digits of unlabeled images, as a Kaggle submission or with logits.

use std::{fmt::Write, path::PathBuf};

use lenet::{CLASSES, nn::argmax};
use serde_json::json;

use crate::{
    args::StateDictArgs,
    data,
    output::{print, write_atomically},
};

/// Predict the digits of unlabeled 28x28 images, for example for Kaggle's Digit Recognizer
#[derive(clap::Args)]
pub struct Args {
    /// Trained weights: a built-in name (see `lenet models`) or a .safetensors file
    weights: PathBuf,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    /// Images: a .csv file with the columns of Kaggle's test.csv (pixel0,...,pixel783), or an IDX file, raw or .gz
    images: PathBuf,
    /// Where to write the predictions [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write one JSON object for each image (image_id, label, logits) instead of CSV lines (ImageId,Label)
    #[arg(long)]
    json: bool,
}

/// Writes a prediction for each image. Image ids count from 1, as Kaggle's do.
pub fn run(args: Args) -> anyhow::Result<()> {
    let network = args.state_dict_args.load_network(&args.weights)?;
    let logits = network.logits(&data::read_unlabeled_images(&args.images)?);
    let mut text = if args.json { String::new() } else { "ImageId,Label\n".to_owned() };
    for (id, logits) in (1..).zip(logits.chunks_exact(CLASSES)) {
        let label = argmax(logits);
        let _ = if args.json {
            writeln!(text, "{}", json!({ "image_id": id, "label": label, "logits": logits }))
        } else {
            writeln!(text, "{id},{label}")
        };
    }
    match &args.out {
        Some(path) => write_atomically(path, text.as_bytes()),
        None => print(text),
    }
}
