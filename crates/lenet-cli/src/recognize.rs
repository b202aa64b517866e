//! `lenet recognize`: the digits in pictures.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use lenet::recognize::{Reading, Recognizer};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::{
    decode,
    output::{make_folder, print, tell},
    terminal::pictures_bar,
    trace,
    weights_file::{self, FormatArgs},
};

/// Read the digits in pictures: photos, scans, drawings
#[derive(clap::Args)]
pub struct Args {
    /// Pictures (PNG, JPEG, BMP, GIF, WebP, PNM, TIFF), folders of them, or - for stdin
    #[arg(required = true, value_name = "IMAGE")]
    pictures: Vec<PathBuf>,
    /// The network: lenet5, vgg or handwriting, which are inside the program, or a .safetensors file
    #[arg(long, value_name = "FILE", default_value = weights_file::RECOGNIZER)]
    model: PathBuf,
    #[command(flatten)]
    format: FormatArgs,
    /// Print one JSON object for each picture, with boxes and probabilities
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print a line of CSV for each picture: path, text, weakest confidence, remarks, error
    #[arg(long)]
    csv: bool,
    /// Take all that is written in a picture for one digit
    #[arg(long)]
    single: bool,
    /// Also write what was made of each picture, step by step, as PNG files to a folder
    #[arg(long, value_name = "DIR")]
    explain: Option<PathBuf>,
    /// Refuse pictures of more million pixels
    #[arg(long, value_name = "N", default_value_t = decode::MEGAPIXELS)]
    megapixels: u32,
}

/// Pictures that are read at once, before what they say is printed.
const AT_ONCE: usize = 256;

/// Reads all pictures that can be read; the exit status tells whether any could not.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let recognizer = Recognizer::new(args.format.load(&args.model)?);
    if let Some(folder) = &args.explain {
        make_folder(folder)?;
    }
    let list = |path: &PathBuf| if path.is_dir() { decode::list(path) } else { vec![path.clone()] };
    let pictures: Vec<_> = args.pictures.iter().flat_map(list).collect();
    let bar = pictures_bar(pictures.len());
    if args.csv {
        print("path,text,confidence,remarks,error\n")?;
    }
    let mut code = ExitCode::SUCCESS;
    for some in pictures.chunks(AT_ONCE) {
        // Their lines in the order of the pictures, whichever is done first.
        let lines: Vec<_> = some
            .par_iter()
            .map(|path| {
                let answer = read(path, &recognizer, &args);
                bar.inc(1);
                (args.line(path, &answer), answer.err())
            })
            .collect();
        bar.suspend(|| {
            some.iter().zip(lines).try_for_each(|(path, (line, error))| {
                if let Some(error) = error {
                    code = ExitCode::FAILURE;
                    tell(format_args!("error: {}: {error:#}", path.display()));
                }
                print(line)
            })
        })?;
    }
    bar.finish_and_clear();
    Ok(code)
}

fn read(path: &Path, recognizer: &Recognizer, args: &Args) -> anyhow::Result<Reading> {
    let decoded = if path == Path::new("-") {
        decode::read(std::io::stdin(), args.megapixels)?
    } else {
        decode::open(path, args.megapixels)?
    };
    let explanation = recognizer.trace(&decoded.picture()?, args.single);
    if let Some(folder) = &args.explain {
        let name = if path == Path::new("-") {
            "stdin".into()
        } else {
            path.to_string_lossy().replace(['/', '\\'], "_")
        };
        trace::save(folder, &name, &explanation)?;
    }
    Ok(explanation.reading)
}

impl Args {
    /// What is printed of a picture.
    fn line(&self, path: &Path, answer: &anyhow::Result<Reading>) -> String {
        let path = path.display().to_string();
        match answer {
            Ok(reading) if self.json => {
                // A reading is of what JSON has: text, finite numbers, lists, and names for them.
                serde_json::to_string(&Line { path: &path, reading }).expect("a reading is JSON") + "\n"
            }
            Ok(reading) if self.csv => {
                let remarks = reading.remarks.join("; ");
                let weakest =
                    reading.min_confidence().map_or(String::new(), |weakest| format!("{weakest:.4}"));
                format!("{},{},{weakest},{},\n", Cell(&path), Cell(&reading.text), Cell(&remarks))
            }
            Ok(reading) => {
                let mut line = format!("{path}: {}", reading.text.replace('\n', " "));
                if let Some(weakest) = reading.min_confidence() {
                    let _ = write!(line, " (weakest digit {:.0}%)", 100.0 * weakest);
                } else {
                    let _ = write!(line, "({})", reading.remarks.join(", "));
                }
                line + "\n"
            }
            Err(error) if self.json => {
                format!("{}\n", json!({ "path": path, "error": format!("{error:#}") }))
            }
            Err(error) if self.csv => format!("{},,,,{}\n", Cell(&path), Cell(&format!("{error:#}"))),
            Err(_) => String::new(),
        }
    }
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    #[serde(flatten)]
    reading: &'a Reading,
}

/// A value in a line of CSV (RFC 4180).
struct Cell<'a>(&'a str);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        if self.0.contains(['"', ',', '\n', '\r']) {
            write!(out, "\"{}\"", self.0.replace('"', "\"\""))
        } else {
            out.write_str(self.0)
        }
    }
}
