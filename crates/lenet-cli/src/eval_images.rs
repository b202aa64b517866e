//! `lenet eval --pictures`: what is read in real pictures, source by source.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, ensure};
use lenet::{
    data::idx,
    image::{GrayImage, ImageView},
    recognize::Recognizer,
};
use rayon::prelude::*;

use crate::{
    data, decode,
    eval::{MISTAKES, percent},
    figure::{self, ROOM, Tile},
};

mod labels;

/// Pictures with what is read in them.
pub struct Readings(Vec<Sample>);

/// A picture with what stands in it.
struct Sample {
    source: String,
    /// Digits, `\n` between lines; empty if no digit is in it.
    label: String,
    /// Where it came from, for a mistake's caption.
    name: String,
    /// What was read, finding all digits and as one.
    read: String,
    single: String,
    /// The picture, small, if either is wrong: (row, column) with ink bright on dark.
    mistaken: Option<GrayImage>,
}

/// Reads the pictures of a folder with `labels.tsv`, or of an IDX file.
pub fn read(recognizer: &Recognizer, path: &Path) -> anyhow::Result<Readings> {
    Ok(Readings(if path.is_dir() { folder(recognizer, path)? } else { idx_file(recognizer, path)? }))
}

impl Readings {
    /// How many are right, source by source, and what is wrong.
    pub fn table(&self) -> String {
        let mut sources: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
        for sample in &self.0 {
            sources.entry(&sample.source).or_default().push(sample);
        }
        let mut text = format!("{:>8} {:>8} {:>8} {:>8}  source\n", "pictures", "right", "single", "refused");
        let mut row = |count: usize, shares: [f64; 3], name: &str| {
            let [right, single, refused] = shares.map(percent);
            let _ = writeln!(text, "{count:>8} {right:>8} {single:>8} {refused:>8}  {name}");
        };
        let mut sums = [0.0; 3];
        for (source, samples) in &sources {
            let shares = shares(samples);
            row(samples.len(), shares, source);
            sums = std::array::from_fn(|column| sums[column] + shares[column]);
        }
        let count = sources.len();
        if count > 1 {
            row(self.0.len(), sums.map(|sum| sum / count as f64), &format!("mean of {count} sources"));
        }
        row(self.0.len(), shares(&self.0.iter().collect::<Vec<_>>()), "all");
        text.push('\n');
        for sample in self.mistaken().take(MISTAKES) {
            let [label, read, single] = sample.shown();
            let _ = writeln!(text, "{}: {label} read as {read}, as one digit {single}", sample.name);
        }
        text
    }

    /// The first of the mistakes on one sheet.
    pub fn mistakes(&self) -> figure::Picture {
        let tiles: Vec<_> = self.mistaken().take(MISTAKES).filter_map(Sample::tile).collect();
        let title =
            format!("{} of {} mistakes in {} pictures", tiles.len(), self.mistaken().count(), self.0.len());
        figure::sheet(&title, &tiles, 8)
    }

    fn mistaken(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(|sample| sample.mistaken.is_some())
    }
}

/// The shares of pictures that are read right, read right as one digit, and refused in part.
fn shares(samples: &[&Sample]) -> [f64; 3] {
    let share = |good: fn(&Sample) -> bool| {
        samples.iter().filter(|sample| good(sample)).count() as f64 / samples.len() as f64
    };
    [
        share(|sample| is_right(&sample.label, &sample.read)),
        share(|sample| is_right(&sample.label, &sample.single)),
        share(|sample| sample.read.contains('?')),
    ]
}

fn is_right(label: &str, read: &str) -> bool {
    if label.is_empty() { !read.contains(|c: char| c.is_ascii_digit()) } else { read == label }
}

impl Sample {
    fn new(
        recognizer: &Recognizer,
        picture: &ImageView,
        source: String,
        label: String,
        name: String,
    ) -> Self {
        let (read, single) = (recognizer.read(picture).text, recognizer.read_single(picture).text);
        let one = label.len() == 1;
        let wrong = !is_right(&label, &read) || (one && !is_right(&label, &single));
        Self { source, label, name, read, single, mistaken: wrong.then(|| thumbnail(picture)) }
    }

    /// The picture, if either reading is wrong.
    fn tile(&self) -> Option<Tile<'_>> {
        let (image, [label, read, single]) = (self.mistaken.as_ref()?, self.shown());
        // What is longer would be wider than the picture, in a font that is good to read.
        let most = ROOM / 6;
        let answer =
            if single == read || self.label.len() > 1 { read } else { format!("{read}, as one {single}") };
        let start = |line: String| line.chars().take(most).collect::<String>();
        let end = self.name.chars().skip(self.name.chars().count().saturating_sub(most)).collect();
        let caption = [start(format!("label {label}")), start(format!("read {answer}")), end].join("\n");
        Some(Tile { image: &image.values, width: image.width, caption })
    }

    /// Label, reading and reading as one digit, for people.
    fn shown(&self) -> [String; 3] {
        let shown =
            |text: &String| if text.is_empty() { "nothing".to_owned() } else { text.replace('\n', "|") };
        [&self.label, &self.read, &self.single].map(shown)
    }
}

/// The picture in grey, small enough for a sheet, and its negative.
fn thumbnail(picture: &ImageView) -> GrayImage {
    let mut grey = figure::shrink(&picture.grey(), ROOM);
    grey.values.iter_mut().for_each(|value| *value = 255 - *value);
    grey
}

fn folder(recognizer: &Recognizer, folder: &Path) -> anyhow::Result<Vec<Sample>> {
    let list = folder.join("labels.tsv");
    let text = fs::read_to_string(&list).with_context(|| format!("{}: could not be read", list.display()))?;
    let labels = labels::parse(&text).with_context(|| list.display().to_string())?;
    labels
        .into_par_iter()
        .map(|labels::Label { file, digits, source }| {
            let decoded =
                decode::open(&folder.join(file), decode::MEGAPIXELS).with_context(|| file.to_owned())?;
            Ok(Sample::new(recognizer, &decoded.picture()?, source.to_owned(), digits, file.to_owned()))
        })
        .collect()
}

fn idx_file(recognizer: &Recognizer, path: &Path) -> anyhow::Result<Vec<Sample>> {
    let labels = path.to_string_lossy().replace("images-idx3", "labels-idx1");
    let labels = data::read_idx(Path::new(&labels), idx::read_labels)?;
    let (width, height, mut pixels) = data::read_idx(path, idx::read_any_images)?;
    ensure!(
        labels.len() * width * height == pixels.len(),
        "{}: labels: expected one for each image, found {}",
        path.display(),
        labels.len()
    );
    let most = pixels.iter().copied().max().unwrap_or(0).max(1);
    pixels.iter_mut().for_each(|value| *value = (u32::from(*value) * 255 / u32::from(most)) as u8);
    let source = path.display().to_string();
    pixels
        .par_chunks((width * height).max(1))
        .zip(&labels)
        .enumerate()
        .map(|(index, (image, label))| {
            let picture = ImageView::new(width, height, image)?;
            Ok(Sample::new(recognizer, &picture, source.clone(), label.to_string(), format!("#{index}")))
        })
        .collect()
}
