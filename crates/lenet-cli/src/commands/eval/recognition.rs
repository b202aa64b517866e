//! `lenet eval --pictures`: evaluates the recognition of image files, source by source.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, ensure};
use lenet::{
    data::idx,
    image::{GrayImage, ImageView, Stages},
    recognize::Recognizer,
};
use lenet_report::format::{MAX_MISTAKES_SHOWN, percent};
use rayon::prelude::*;

use crate::{
    data::{
        self,
        labels_tsv::{self, LabelRow},
    },
    decode,
    figure::{self, Canvas, CaptionedImage, MAX_CELL_SIDE_PX},
    output::{create_folder, print, warn},
};

/// Width of a character in the smallest font that is easy to read, in pixels.
const CHARACTER_WIDTH_PX: usize = 6;

/// Evaluates the recognition of the images in a folder with `labels.tsv`, in a tab-separated file of files and labels, or in an
/// IDX file. Prints a table, and writes a figure of the mistakes to the folder `out`.
pub fn run(
    recognizer: Recognizer,
    path: &Path,
    skipped_stages: &[String],
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let stages = skipped_stages.iter().try_fold(Stages::ALL, |stages, name| -> anyhow::Result<_> {
        Ok(stages.without(name.parse().context("--skip-stage")?))
    })?;
    let recognizer = recognizer.with_stages(stages);
    let is_tsv = path.extension().is_some_and(|extension| extension == "tsv");
    let samples = if path.is_dir() || is_tsv {
        evaluate_labeled_files(&recognizer, path)?
    } else {
        evaluate_idx(&recognizer, path)?
    };
    print(to_text(&samples))?;
    if let Some(folder) = out {
        create_folder(folder)?;
        mistakes_figure(&samples).save(&folder.join("mistakes.png"))?;
        print(format_args!("\nmistakes.png written to {}\n", folder.display()))?;
    }
    Ok(())
}

/// An image with its label and its readings.
struct EvaluatedImage {
    source: String,
    /// Digits and `?`, with `\n` between lines; empty if the image has no digits.
    label: String,
    /// Whether the text has the spaces and marks of the label as well.
    is_text_correct: bool,
    /// File name or index of the image, for the caption of a mistake.
    name: String,
    /// The digits and `?` that were read.
    read: String,
    /// The same, read as a single digit.
    read_single: String,
    /// A thumbnail if one of the readings is wrong: (row, column) with ink bright on dark.
    mistake: Option<GrayImage>,
}

impl EvaluatedImage {
    /// Reads an image with the label `text`, whose digits are `label`.
    fn new(
        recognizer: &Recognizer,
        image: &ImageView,
        source: String,
        (label, text): (String, &str),
        name: String,
    ) -> Self {
        let reading = recognizer.read(image);
        let (read, read_single) = (reading.digits_only(), recognizer.read_single(image).digits_only());
        let is_text_correct = if label.is_empty() { is_correct(&label, &read) } else { reading.text == text };
        let is_one_digit = label.len() == 1;
        let wrong = !is_correct(&label, &read) || (is_one_digit && !is_correct(&label, &read_single));
        let mistake = wrong.then(|| negative_thumbnail(image));
        Self { source, label, is_text_correct, name, read, read_single, mistake }
    }

    /// Returns the thumbnail with a caption, if one of the readings is wrong.
    fn captioned_mistake(&self) -> Option<CaptionedImage<'_>> {
        let (thumbnail, [label, read, single]) = (self.mistake.as_ref()?, self.one_line_texts());
        let max_chars = MAX_CELL_SIDE_PX / CHARACTER_WIDTH_PX;
        let reading =
            if single == read || self.label.len() > 1 { read } else { format!("{read}, single {single}") };
        let start = |line: String| line.chars().take(max_chars).collect::<String>();
        let skipped = self.name.chars().count().saturating_sub(max_chars);
        let name_end = self.name.chars().skip(skipped).collect();
        let caption =
            [start(format!("label {label}")), start(format!("read {reading}")), name_end].join("\n");
        Some(CaptionedImage::new(&thumbnail.values, thumbnail.width, caption))
    }

    /// Returns label, reading and reading as a single digit, with `|` between lines.
    fn one_line_texts(&self) -> [String; 3] {
        let displayed =
            |text: &String| if text.is_empty() { "nothing".to_owned() } else { text.replace('\n', "|") };
        [&self.label, &self.read, &self.read_single].map(displayed)
    }
}

/// Returns whether a reading equals its label, or has no digit if the image has none.
fn is_correct(label: &str, read: &str) -> bool {
    if label.is_empty() { !read.contains(|c: char| c.is_ascii_digit()) } else { read == label }
}

/// Returns a small gray copy for a sheet, inverted so that ink is bright.
fn negative_thumbnail(image: &ImageView) -> GrayImage {
    let mut gray = figure::shrink(&image.to_gray(), MAX_CELL_SIDE_PX);
    gray.values.iter_mut().for_each(|value| *value = 255 - *value);
    gray
}

/// Reads the images of a folder with `labels.tsv`, or of a tab-separated file without sources. Files in no known format of
/// images are counted in a warning and left out.
fn evaluate_labeled_files(recognizer: &Recognizer, path: &Path) -> anyhow::Result<Vec<EvaluatedImage>> {
    let list = if path.is_dir() { path.join("labels.tsv") } else { path.to_owned() };
    let text = fs::read_to_string(&list).with_context(|| format!("{}: could not be read", list.display()))?;
    let source = list.file_stem().unwrap_or_default().to_string_lossy();
    let labels = if path.is_dir() {
        labels_tsv::parse(&text)
    } else {
        labels_tsv::parse_of_one_source(&text, &source)
    };
    let labels = labels.with_context(|| list.display().to_string())?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let count = labels.len();
    let read = |LabelRow { file, digits, text, source }: LabelRow| {
        let decoded = match decode::decode_file(&folder.join(file), decode::DEFAULT_MAX_MEGAPIXELS) {
            Err(error) if is_unknown_format(&error) => return Ok(None),
            decoded => decoded.with_context(|| file.to_owned())?,
        };
        Ok(Some(EvaluatedImage::new(
            recognizer,
            &decoded.view()?,
            source.to_owned(),
            (digits, &text),
            file.to_owned(),
        )))
    };
    let samples: Vec<_> = labels.into_par_iter().map(read).collect::<anyhow::Result<_>>()?;
    let samples: Vec<_> = samples.into_iter().flatten().collect();
    if samples.len() < count {
        warn(format_args!(
            "left out: {} of {count} files, no images of a known format",
            count - samples.len()
        ));
    }
    Ok(samples)
}

fn is_unknown_format(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(decode::Error::UnknownFormat | decode::Error::UnsupportedFormat(_)))
}

/// Reads an IDX file of images of any size, and the labels from the file beside it. The brightest pixel is scaled to 255, because
/// some datasets have pixels from 0 to 16.
fn evaluate_idx(recognizer: &Recognizer, path: &Path) -> anyhow::Result<Vec<EvaluatedImage>> {
    let labels = path.to_string_lossy().replace("images-idx3", "labels-idx1");
    let labels = data::read_idx_file(Path::new(&labels), idx::read_labels)?;
    let (width, height, mut pixels) = data::read_idx_file(path, idx::read_images_of_any_size)?;
    ensure!(
        labels.len() * width * height == pixels.len(),
        "{}: labels: expected one for each image, found {}",
        path.display(),
        labels.len()
    );
    let brightest = pixels.iter().copied().max().unwrap_or(0).max(1);
    pixels.iter_mut().for_each(|value| *value = (u32::from(*value) * 255 / u32::from(brightest)) as u8);
    let source = path.display().to_string();
    pixels
        .par_chunks((width * height).max(1))
        .zip(&labels)
        .enumerate()
        .map(|(index, (pixels, label))| {
            let image = ImageView::new(width, height, pixels)?;
            Ok(EvaluatedImage::new(
                recognizer,
                &image,
                source.clone(),
                (label.to_string(), &label.to_string()),
                format!("#{index}"),
            ))
        })
        .collect()
}

/// Formats the fractions of correct and of rejected images, source by source, and the first mistakes.
fn to_text(samples: &[EvaluatedImage]) -> String {
    let mut sources: BTreeMap<&str, Vec<&EvaluatedImage>> = BTreeMap::new();
    for sample in samples {
        sources.entry(&sample.source).or_default().push(sample);
    }
    let [images, correct, whole_text, single, rejected] = ["images", "correct", "text", "single", "rejected"];
    let mut text = format!("{images:>8} {correct:>8} {whole_text:>8} {single:>8} {rejected:>8}  source\n");
    let mut row = |count: usize, fractions: [f64; 4], name: &str| {
        let [correct, whole_text, single, rejected] = fractions.map(percent);
        let _ = writeln!(text, "{count:>8} {correct:>8} {whole_text:>8} {single:>8} {rejected:>8}  {name}");
    };
    let mut sums = [0.0; 4];
    for (source, samples) in &sources {
        let fractions = correct_and_rejected_fractions(samples);
        row(samples.len(), fractions, source);
        sums = std::array::from_fn(|column| sums[column] + fractions[column]);
    }
    let count = sources.len();
    if count > 1 {
        row(samples.len(), sums.map(|sum| sum / count as f64), &format!("mean of {count} sources"));
    }
    row(samples.len(), correct_and_rejected_fractions(&samples.iter().collect::<Vec<_>>()), "all");
    text.push('\n');
    for sample in mistakes(samples).take(MAX_MISTAKES_SHOWN) {
        let [label, read, single] = sample.one_line_texts();
        let _ = writeln!(text, "{}: {label} read as {read}, as a single digit {single}", sample.name);
    }
    text
}

/// Returns the fractions of images whose digits are read correctly, whose text is, that are read correctly as a single digit, and
/// that are rejected in part.
fn correct_and_rejected_fractions(samples: &[&EvaluatedImage]) -> [f64; 4] {
    let fraction = |predicate: fn(&EvaluatedImage) -> bool| {
        samples.iter().filter(|sample| predicate(sample)).count() as f64 / samples.len() as f64
    };
    [
        fraction(|sample| is_correct(&sample.label, &sample.read)),
        fraction(|sample| sample.is_text_correct),
        fraction(|sample| is_correct(&sample.label, &sample.read_single)),
        fraction(|sample| sample.read.contains('?')),
    ]
}

/// Draws the first mistakes on one sheet.
fn mistakes_figure(samples: &[EvaluatedImage]) -> Canvas {
    let images: Vec<_> =
        mistakes(samples).take(MAX_MISTAKES_SHOWN).filter_map(EvaluatedImage::captioned_mistake).collect();
    let title =
        format!("{} of {} mistakes in {} images", images.len(), mistakes(samples).count(), samples.len());
    figure::image_grid(&title, &images, 8)
}

fn mistakes(samples: &[EvaluatedImage]) -> impl Iterator<Item = &EvaluatedImage> {
    samples.iter().filter(|sample| sample.mistake.is_some())
}
