//! `lenet export`: writes a network in a format of other programs.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use lenet::{
    c_source::{self, CSource},
    data::Task,
    nn::Network,
    onnx::{self, PixelType},
};
use lenet_report::format::with_thousands_separators;

use crate::{
    args::{DataArgs, StateDictArgs},
    data::Split,
    output::{print, write_atomically},
};

/// Training images that the ranges of 8-bit activations are found on.
const CALIBRATION_IMAGES: usize = 1000;

/// Write a network in a format of other programs
#[derive(clap::Args)]
pub struct Args {
    /// Trained weights: a built-in name (see `lenet models`) or a .safetensors file
    #[arg(value_name = "NETWORK")]
    weights: PathBuf,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    /// The format
    #[arg(long, value_enum)]
    to: Format,
    /// Where to write it [default: the network's name and the extension of the format]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Elements of an ONNX model's input `pixels`, (batch, height, width) from 0, paper, to 255, ink [default: uint8]
    #[arg(long, value_enum)]
    input: Option<Input>,
    /// Version of ONNX's operators, 13 to 24 [default: 17]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(i64::from(onnx::MIN_OPSET)..=i64::from(onnx::MAX_OPSET)),
    )]
    opset: Option<u32>,
    /// Elements of the weights and activations of C source [default: float]
    #[arg(long, value_enum)]
    dtype: Option<DType>,
    #[command(flatten, next_help_heading = "Images that --dtype int8 is calibrated on")]
    data_args: DataArgs,
}

/// A format that a network is written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// An ONNX model from pixels to probabilities
    Onnx,
    /// A .c file, with a header beside it, from pixels to probabilities
    C,
}

/// The elements of a model's input.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Input {
    Uint8,
    Float,
}

/// The elements of weights and activations.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DType {
    /// Single precision
    Float,
    /// Integers, a quarter of the memory
    Int8,
}

/// Writes the files, and prints their names and sizes.
pub fn run(args: Args) -> anyhow::Result<()> {
    let is_int8 = matches!(args.dtype, Some(DType::Int8));
    ensure!(is_int8 || !args.data_args.is_given(), "--data: expected --dtype int8");
    match args.to {
        Format::Onnx => export_onnx(&args),
        Format::C => export_c(&args),
    }
}

fn export_onnx(args: &Args) -> anyhow::Result<()> {
    ensure!(args.dtype.is_none(), "--dtype: expected --to c");
    let (network, provenance) = args.state_dict_args.load_with_provenance(&args.weights)?;
    let input = match args.input {
        None | Some(Input::Uint8) => PixelType::Uint8,
        Some(Input::Float) => PixelType::Float,
    };
    let opset = args.opset.unwrap_or(onnx::DEFAULT_OPSET);
    let bytes = onnx::to_bytes(&network, provenance.as_ref(), input, opset)?;
    let out =
        args.out.clone().unwrap_or_else(|| PathBuf::from(file_stem(&args.weights)).with_extension("onnx"));
    write_atomically(&out, &bytes)?;
    print(format_args!("wrote {}: {} KB\n", out.display(), bytes.len().div_ceil(1000)))
}

fn export_c(args: &Args) -> anyhow::Result<()> {
    ensure!(args.input.is_none(), "--input: expected --to onnx");
    ensure!(args.opset.is_none(), "--opset: expected --to onnx");
    let network = args.state_dict_args.load_any_network(&args.weights)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(identifier(file_stem(&args.weights))).with_extension("c"),
    };
    if out.extension().is_none_or(|extension| extension != "c") {
        bail!("{}: expected a file name that ends with .c", out.display());
    }
    let name = file_stem(&out);
    let CSource { header, source, constant_bytes, workspace_bytes } = match args.dtype {
        None | Some(DType::Float) => c_source::float(&network, name)?,
        Some(DType::Int8) => c_source::int8(&network, name, &calibration_images(args, &network)?)?,
    };
    let header_path = out.with_extension("h");
    write_atomically(&header_path, header.as_bytes())?;
    write_atomically(&out, source.as_bytes())?;
    print(format_args!(
        "wrote {} and {}\n\
         flash: {} bytes of constants, and the compiled functions\n\
         RAM: {} bytes for the activations of an image, and the stack\n\
         multiply-adds: {} for an image\n",
        out.display(),
        header_path.display(),
        with_thousands_separators(constant_bytes),
        with_thousands_separators(workspace_bytes),
        with_thousands_separators(network.architecture().complexity()?.multiply_adds)
    ))
}

/// Returns the pixels of training images.
fn calibration_images(args: &Args, network: &Network) -> anyhow::Result<Vec<u8>> {
    Task::Digits.check(network).with_context(|| format!("{}: --dtype int8", args.weights.display()))?;
    let data = args.data_args.load_split(Split::Train)?;
    args.data_args.warn_of_deviation(&data)?;
    let mut images = data.images().to_vec();
    images.truncate(CALIBRATION_IMAGES * lenet::PIXELS);
    Ok(images)
}

fn file_stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("network")
}

/// Returns a name as an identifier of C in lower case.
fn identifier(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(allowed).collect();
    if name.starts_with(|first: char| first.is_ascii_lowercase()) { name } else { format!("network_{name}") }
}
