//! `lenet eval --pictures`: what is read in real pictures, source by source.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, ensure};
use lenet::{
    idx,
    image::Picture,
    recognize::{Reading, Recognizer},
};
use rayon::prelude::*;

use crate::{data, decode};

/// A picture with what stands in it.
struct Sample {
    source: String,
    /// Digits, `\n` between lines; empty if no digit is in it.
    label: String,
    /// Where it came from, for a mistake's caption.
    name: String,
    reading: Reading,
    single: Reading,
}

/// Reads the pictures of a folder with `labels.tsv`, or of an IDX file, and says what was right.
pub fn evaluate(recognizer: &Recognizer, path: &Path) -> anyhow::Result<String> {
    let samples = if path.is_dir() { folder(recognizer, path)? } else { idx_file(recognizer, path)? };
    let mut sources: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in &samples {
        sources.entry(&sample.source).or_default().push(sample);
    }
    let mut text = format!("{:>8} {:>8} {:>8} {:>8}  source\n", "pictures", "right", "single", "refused");
    let mut row = |name: &str, samples: &[&Sample]| {
        let right = samples.iter().filter(|sample| is_right(&sample.label, &sample.reading)).count();
        let single = samples.iter().filter(|sample| is_right(&sample.label, &sample.single)).count();
        let refused = samples.iter().filter(|sample| sample.reading.text.contains('?')).count();
        let part = |count: usize| format!("{:.2}%", 100.0 * count as f64 / samples.len() as f64);
        let _ = writeln!(
            text,
            "{:>8} {:>8} {:>8} {:>8}  {name}",
            samples.len(),
            part(right),
            part(single),
            part(refused)
        );
    };
    for (source, samples) in &sources {
        row(source, samples);
    }
    row("all", &samples.iter().collect::<Vec<_>>());
    text.push('\n');
    let wrong = |sample: &&Sample| {
        let one = sample.label.len() == 1 && !is_right(&sample.label, &sample.single);
        one || !is_right(&sample.label, &sample.reading)
    };
    let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.replace('\n', "|") };
    for sample in samples.iter().filter(wrong).take(MISTAKES) {
        let (read, single) = (shown(&sample.reading.text), shown(&sample.single.text));
        let label = shown(&sample.label);
        let _ = writeln!(text, "{}: {label} read as {read}, as one digit {single}", sample.name);
    }
    Ok(text)
}

/// Mistakes that are listed, at most.
const MISTAKES: usize = 60;

fn is_right(label: &str, reading: &Reading) -> bool {
    if label.is_empty() {
        !reading.text.contains(|c: char| c.is_ascii_digit())
    } else {
        reading.text == label
    }
}

fn folder(recognizer: &Recognizer, folder: &Path) -> anyhow::Result<Vec<Sample>> {
    let list = folder.join("labels.tsv");
    let list = fs::read_to_string(&list).with_context(|| format!("{}: could not be read", list.display()))?;
    list.par_lines()
        .map(|line| {
            let mut cells = line.split('\t');
            let mut cell = || {
                cells
                    .next()
                    .with_context(|| format!("labels.tsv: expected file, label, source, found {line:?}"))
            };
            let (name, label, source) = (cell()?, cell()?, cell()?);
            let decoded =
                decode::open(&folder.join(name), decode::MEGAPIXELS).with_context(|| name.to_owned())?;
            let picture = decoded.picture()?;
            let digits = label.chars().all(|c| c.is_ascii_digit() || c == '|');
            Ok(Sample {
                source: source.split('@').next().unwrap_or_default().to_owned(),
                label: if digits { label.replace('|', "\n") } else { String::new() },
                name: name.to_owned(),
                reading: recognizer.read(&picture),
                single: recognizer.read_single(&picture),
            })
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
    pixels
        .par_chunks((width * height).max(1))
        .zip(&labels)
        .enumerate()
        .map(|(index, (image, label))| {
            let picture = Picture::new(width, height, image)?;
            Ok(Sample {
                source: path.display().to_string(),
                label: label.to_string(),
                name: format!("#{index}"),
                reading: recognizer.read(&picture),
                single: recognizer.read_single(&picture),
            })
        })
        .collect()
}
