//! `lenet recognize`: recognizes the digits in image files.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lenet::recognize::{Reading, Recognizer};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::{
    args::WeightsArgs,
    catalog::DEFAULT_RECOGNIZER,
    decode,
    format::{CsvCell, joined},
    output::{create_folder, print, warn},
    terminal::image_files_bar,
};

mod trace;

/// Recognize the digits in images: photos, scans, drawings
#[derive(clap::Args)]
pub struct Args {
    /// Image files (PNG, JPEG, BMP, GIF, WebP, PNM, TIFF), folders of them, or - for stdin
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Trained weights: a built-in name (see `lenet models`) or a .safetensors file
    #[arg(long, alias = "model", value_name = "WEIGHTS", default_value = DEFAULT_RECOGNIZER)]
    weights: PathBuf,
    #[command(flatten)]
    weights_args: WeightsArgs,
    /// Print one JSON object for each image, with bounding boxes and probabilities
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print one line of CSV for each image: path, text, lowest confidence, remarks, error
    #[arg(long)]
    csv: bool,
    /// Read all ink in an image as one digit
    #[arg(long)]
    single: bool,
    /// Also write the intermediate images of the recognition to a folder, as PNG files
    #[arg(long, alias = "explain", value_name = "DIR")]
    trace: Option<PathBuf>,
    /// Reject images of more than N million pixels
    #[arg(long, alias = "megapixels", value_name = "N", default_value_t = decode::DEFAULT_MAX_MEGAPIXELS)]
    max_megapixels: u32,
}

/// Images that are read in parallel before their results are printed.
const CHUNK_IMAGES: usize = 256;

/// Reads all images and prints a line for each. The exit status is 1 if any of them could not be read.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let recognizer = Recognizer::new(args.weights_args.load(&args.weights)?)?;
    if let Some(folder) = &args.trace {
        create_folder(folder)?;
    }
    let files_of = |path: &PathBuf| if path.is_dir() { decode::list_files(path) } else { vec![path.clone()] };
    let images: Vec<_> = args.images.iter().flat_map(files_of).collect();
    let bar = image_files_bar(images.len());
    if args.csv {
        print("path,text,confidence,remarks,error\n")?;
    }
    let mut code = ExitCode::SUCCESS;
    for chunk in images.chunks(CHUNK_IMAGES) {
        // Collected, so that the lines are printed in the order of the images.
        let lines: Vec<_> = chunk
            .par_iter()
            .map(|path| {
                let result = read(path, &recognizer, &args);
                bar.inc(1);
                (args.format_result(path, &result), result.err())
            })
            .collect();
        bar.suspend(|| {
            chunk.iter().zip(lines).try_for_each(|(path, (line, error))| {
                if let Some(error) = error {
                    code = ExitCode::FAILURE;
                    warn(format_args!("error: {}: {error:#}", path.display()));
                }
                print(line)
            })
        })?;
    }
    bar.finish_and_clear();
    Ok(code)
}

/// Decodes an image, recognizes its digits, and saves the trace if `--trace` is given.
fn read(path: &Path, recognizer: &Recognizer, args: &Args) -> anyhow::Result<Reading> {
    let is_stdin = path == Path::new("-");
    let decoded = if is_stdin {
        decode::read(std::io::stdin(), args.max_megapixels)?
    } else {
        decode::open(path, args.max_megapixels)?
    };
    let trace = recognizer.trace(&decoded.view()?, args.single);
    if let Some(folder) = &args.trace {
        let name = if is_stdin { "stdin".into() } else { path.to_string_lossy().replace(['/', '\\'], "_") };
        trace::save(folder, &name, &trace)?;
    }
    Ok(trace.reading)
}

impl Args {
    /// Formats the result of an image in the requested format. A failed image has no line of plain text.
    fn format_result(&self, path: &Path, result: &anyhow::Result<Reading>) -> String {
        let path = path.display().to_string();
        if self.json {
            json_line(&path, result)
        } else if self.csv {
            csv_line(&path, result)
        } else {
            result.as_ref().map_or(String::new(), |reading| text_line(&path, reading))
        }
    }
}

fn text_line(path: &str, reading: &Reading) -> String {
    let mut line = format!("{path}: {}", reading.text.replace('\n', " "));
    let _ = match reading.min_confidence() {
        Some(confidence) => writeln!(line, " (lowest confidence {:.0}%)", 100.0 * confidence),
        None => writeln!(line, "({})", joined(&reading.remarks, ", ")),
    };
    line
}

fn csv_line(path: &str, result: &anyhow::Result<Reading>) -> String {
    match result {
        Ok(reading) => {
            let confidence =
                reading.min_confidence().map_or(String::new(), |confidence| format!("{confidence:.4}"));
            let codes: Vec<_> = reading.remarks.iter().map(|remark| remark.code()).collect();
            let remarks = codes.join("; ");
            format!("{},{},{confidence},{},\n", CsvCell(path), CsvCell(&reading.text), CsvCell(&remarks))
        }
        Err(error) => format!("{},,,,{}\n", CsvCell(path), CsvCell(&format!("{error:#}"))),
    }
}

fn json_line(path: &str, result: &anyhow::Result<Reading>) -> String {
    #[derive(Serialize)]
    struct ImageRecord<'a> {
        path: &'a str,
        #[serde(flatten)]
        reading: &'a Reading,
    }
    match result {
        Ok(reading) => {
            // Serialization can't fail: a reading has only text, numbers, and lists and structs of them.
            serde_json::to_string(&ImageRecord { path, reading }).expect("a reading is JSON") + "\n"
        }
        Err(error) => format!("{}\n", json!({ "path": path, "error": format!("{error:#}") })),
    }
}
