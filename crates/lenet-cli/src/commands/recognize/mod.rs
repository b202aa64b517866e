//! `lenet recognize`: recognizes the digits in image files.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use lenet::recognize::{FormTemplate, Reading, Recognizer, RecognizerParams};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::{
    EXIT_FAILURE, EXIT_SUCCESS,
    args::{ConstraintArgs, Region, StateDictArgs},
    catalog::DEFAULT_RECOGNIZER,
    decode, form_template,
    format::{CsvCell, NO_CELLS_MESSAGE, cells_csv, joined},
    output::{create_folder, print, warn},
    terminal::image_files_bar,
};

mod form;
mod trace_images;

/// Recognize the digits in images: photos, scans, drawings
#[derive(clap::Args)]
pub struct Args {
    /// Image files (PNG, JPEG, BMP, GIF, WebP, PNM, TIFF), folders of them, or - for stdin
    ///
    /// Each page of a TIFF file is read.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Trained weights: a built-in name (see `lenet models`) or a .safetensors file
    #[arg(long, alias = "model", value_name = "WEIGHTS", default_value = DEFAULT_RECOGNIZER)]
    weights: PathBuf,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    /// Print one JSON object for each image or page, with bounding boxes and probabilities
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print one line of CSV for each image or page: path, text, lowest confidence, probability, remarks, error
    #[arg(long)]
    csv: bool,
    /// Print what is written in the cells of a table as CSV: one line for each row, with empty cells left empty
    #[arg(long, conflicts_with_all = ["json", "csv", "single"])]
    cells: bool,
    /// Read the fields of a form, which a TOML file describes, and print one line of CSV for each image or page
    ///
    /// Each `[[field]]` has a name, a `box = [left, top, width, height]` in fractions of the form's frame (with `area = "page"` of the
    /// image), and, where they are known, length, pattern, checksum and charset. With `single = true` all ink in it is one digit.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cells", "single", "region", "trace", "ConstraintArgs"])]
    template: Option<PathBuf>,
    /// Read only a part of each image, in pixels
    #[arg(long, value_name = "X,Y,WIDTH,HEIGHT")]
    region: Option<Region>,
    /// Leave spaces and marks such as points, commas and slashes out of the text
    #[arg(long)]
    digits_only: bool,
    /// Read all ink in an image as one digit
    #[arg(long)]
    single: bool,
    #[command(flatten)]
    constraint: ConstraintArgs,
    /// Also write the intermediate images of the recognition to a folder, as PNG files
    #[arg(long, alias = "explain", value_name = "DIR")]
    trace: Option<PathBuf>,
    /// Reject images of more than N million pixels
    #[arg(long, alias = "megapixels", value_name = "N", default_value_t = decode::DEFAULT_MAX_MEGAPIXELS)]
    max_megapixels: u32,
}

/// Images that are read in parallel before their results are printed.
const CHUNK_IMAGES: usize = 256;

/// Reads all images and prints a line for each, or for each page of an image file with several. The exit status is 1 if any
/// of them could not be read.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let recognizer = Recognizer::new(args.state_dict_args.load_network(&args.weights)?)?;
    let params = if args.cells { RecognizerParams::for_tables() } else { RecognizerParams::default() };
    let recognizer = args.constraint.apply(recognizer, params)?;
    if let Some(folder) = &args.trace {
        create_folder(folder)?;
    }
    let files_of = |path: &PathBuf| if path.is_dir() { decode::list_files(path) } else { vec![path.clone()] };
    let images: Vec<_> = args.images.iter().flat_map(files_of).collect();
    let bar = image_files_bar(images.len());
    let template = args.template.as_deref().map(form_template::read).transpose()?;
    if let Some(template) = template.as_ref().filter(|_| !args.json) {
        print(form::csv_header(template))?;
    } else if args.csv {
        print("path,text,confidence,probability,remarks,error\n")?;
    }
    let mut code = EXIT_SUCCESS;
    for chunk in images.chunks(CHUNK_IMAGES) {
        // Collected, so that the lines are printed in the order of the images.
        let lines: Vec<_> = chunk
            .par_iter()
            .map(|path| {
                let pages = recognize_file(path, &recognizer, template.as_ref(), &args);
                bar.inc(1);
                let format = |page: Page| (args.format_result(path, template.as_ref(), &page), page);
                pages.into_iter().map(format).collect::<Vec<_>>()
            })
            .collect();
        bar.suspend(|| {
            let lines = chunk.iter().zip(lines);
            let mut lines = lines.flat_map(|(path, pages)| pages.into_iter().map(move |page| (path, page)));
            lines.try_for_each(|(path, (line, page))| {
                if let Err(error) = &page.result {
                    code = EXIT_FAILURE;
                    warn(format_args!("error: {}: {error:#}", page.title(&path.display().to_string())));
                }
                print(line)
            })
        })?;
    }
    bar.finish_and_clear();
    Ok(code)
}

/// The result of a page of an image file.
struct Page {
    /// From 1; `None` if the file has only one page.
    number: Option<usize>,
    /// The reading of the page, or with a template those of its fields.
    result: anyhow::Result<Vec<Reading>>,
}

impl Page {
    /// Returns the path of the file, with the page if there are several.
    fn title(&self, path: &str) -> String {
        self.number.map_or(path.to_owned(), |number| format!("{path}, page {number}"))
    }
}

/// Decodes the pages of an image file, recognizes their digits, and saves the traces if `--trace` is given.
fn recognize_file(
    path: &Path,
    recognizer: &Recognizer,
    template: Option<&FormTemplate>,
    args: &Args,
) -> Vec<Page> {
    let is_stdin = path == Path::new("-");
    let opened = if is_stdin { decode::open_stream(std::io::stdin()) } else { decode::open_pages(path) };
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => return vec![Page { number: None, result: Err(error) }],
    };
    let name = if is_stdin { "stdin".into() } else { path.to_string_lossy().replace(['/', '\\'], "_") };
    let count = file.page_count();
    let mut read_page = |index: usize, number: Option<usize>| {
        let decoded = file.decode_page(index, args.max_megapixels)?;
        let picture = decoded.view()?;
        let mut readings = match template {
            Some(template) => recognizer.read_form(&picture, template)?,
            None => {
                let trace = match args.region {
                    Some(Region(region)) => recognizer.trace_region(&picture, region, args.single)?,
                    None => recognizer.trace(&picture, args.single),
                };
                ensure!(!args.cells || !trace.reading.cells.is_empty(), NO_CELLS_MESSAGE);
                if let Some(folder) = &args.trace {
                    let name = number.map_or(name.clone(), |number| format!("{name}.{number}"));
                    trace_images::save(folder, &name, &trace)?;
                }
                vec![trace.reading]
            }
        };
        if args.digits_only {
            readings.iter_mut().for_each(|reading| reading.text = reading.digits_only());
        }
        Ok(readings)
    };
    let page = |index: usize| {
        let number = (count > 1).then_some(index + 1);
        Page { number, result: read_page(index, number) }
    };
    (0..count).map(page).collect()
}

impl Args {
    /// Formats the result of a page in the requested format. A failed page has no line of plain text.
    fn format_result(&self, path: &Path, template: Option<&FormTemplate>, page: &Page) -> String {
        let path = path.display().to_string();
        if let Some(template) = template {
            return if self.json {
                form::json_line(&path, template, page)
            } else {
                form::csv_line(&path, template, page)
            };
        }
        let reading = page.result.as_ref().map(|readings| &readings[0]);
        if self.json {
            json_line(&path, page.number, reading)
        } else if self.csv {
            csv_line(&path, reading)
        } else if self.cells {
            reading.map_or(String::new(), cells_csv)
        } else {
            reading.map_or(String::new(), |reading| text_line(&page.title(&path), reading))
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

fn csv_line(path: &str, result: Result<&Reading, &anyhow::Error>) -> String {
    match result {
        Ok(reading) => {
            let decimals = |value: Option<f32>| value.map_or(String::new(), |value| format!("{value:.4}"));
            let (confidence, probability) =
                (decimals(reading.min_confidence()), decimals(reading.probability));
            let codes: Vec<_> = reading.remarks.iter().map(|remark| remark.code()).collect();
            let (path, text, remarks) = (CsvCell(path), CsvCell(&reading.text), codes.join("; "));
            format!("{path},{text},{confidence},{probability},{},\n", CsvCell(&remarks))
        }
        Err(error) => format!("{},,,,,{}\n", CsvCell(path), CsvCell(&format!("{error:#}"))),
    }
}

fn json_line(path: &str, page: Option<usize>, result: Result<&Reading, &anyhow::Error>) -> String {
    #[derive(Serialize)]
    struct ImageRecord<'a> {
        path: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        page: Option<usize>,
        #[serde(flatten)]
        reading: &'a Reading,
    }
    match result {
        Ok(reading) => {
            // Serialization can't fail: a reading has only text, numbers, and lists and structs of them.
            serde_json::to_string(&ImageRecord { path, page, reading }).expect("a reading is JSON") + "\n"
        }
        Err(error) => json_error_line(path, page, error),
    }
}

/// Returns the line of JSON of a page that could not be read.
fn json_error_line(path: &str, page: Option<usize>, error: &anyhow::Error) -> String {
    let mut record = json!({ "path": path, "error": format!("{error:#}") });
    if let Some(number) = page {
        record["page"] = number.into();
    }
    format!("{record}\n")
}
