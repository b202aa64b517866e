//! `lenet export`: writes a network in a format of other programs.

use std::path::PathBuf;

use clap::ValueEnum;
use lenet::onnx::{self, PixelType};

use crate::{
    args::StateDictArgs,
    output::{print, write_atomically},
};

/// Write a network in a format of other programs
#[derive(clap::Args)]
pub struct Args {
    /// Trained weights: a built-in name (see `lenet models`) or a .safetensors file
    #[arg(value_name = "NETWORK")]
    weights: PathBuf,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    /// The format: an ONNX model from pixels to probabilities
    #[arg(long, value_enum)]
    to: Format,
    /// Where to write it [default: the network's name and the extension of the format]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Elements of the model's input `pixels`, (batch, height, width) from 0, paper, to 255, ink
    #[arg(long, value_enum, default_value_t = Input::Uint8)]
    input: Input,
    /// Version of ONNX's operators, 13 to 24
    #[arg(
        long,
        value_name = "N",
        default_value_t = onnx::DEFAULT_OPSET,
        value_parser = clap::value_parser!(u32).range(i64::from(onnx::MIN_OPSET)..=i64::from(onnx::MAX_OPSET)),
    )]
    opset: u32,
}

/// A format that a network is written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Onnx,
}

/// The elements of a model's input.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Input {
    Uint8,
    Float,
}

/// Writes the file, and prints its name and size.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (network, provenance) = args.state_dict_args.load_with_provenance(&args.weights)?;
    let input = match args.input {
        Input::Uint8 => PixelType::Uint8,
        Input::Float => PixelType::Float,
    };
    let Format::Onnx = args.to;
    let bytes = onnx::to_bytes(&network, provenance.as_ref(), input, args.opset)?;
    let out = args.out.unwrap_or_else(|| {
        let stem = args.weights.file_stem().unwrap_or("network".as_ref());
        PathBuf::from(stem).with_extension("onnx")
    });
    write_atomically(&out, &bytes)?;
    print(format_args!("wrote {}: {} KB\n", out.display(), bytes.len().div_ceil(1000)))
}
