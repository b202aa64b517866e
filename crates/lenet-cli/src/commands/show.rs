//! `lenet show`: prints the shapes and the label counts of a dataset, and draws images of it.

use std::{fmt::Write, io::IsTerminal, path::PathBuf};

use anyhow::ensure;
use lenet::{
    CLASSES, Dataset, PIXELS, SIDE,
    data::augment::{Augmentation, Augmenter},
};

use crate::{
    args::DataArgs,
    data::Split,
    figure::{self, CaptionedImage},
    output::print,
    terminal::{self, ColorSupport},
};

/// Show the shapes of a dataset, how often each digit occurs, and its first images
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Split to show images of
    #[arg(long, value_enum, default_value_t = Split::Train)]
    split: Split,
    /// Index of the first image to show, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    index: usize,
    /// Show that image and random augmentations of it, as training uses them
    #[arg(long)]
    augment: bool,
    /// Seed of the augmentations
    #[arg(long, value_name = "N", default_value_t = 0, requires = "augment")]
    seed: u64,
    /// Rows of images, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100))]
    rows: u8,
    /// Images in a row, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100))]
    columns: u8,
    /// Also write the images with their labels to a PNG file
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
}

/// Prints shapes and counts, and draws the images if stdout is a terminal.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (train, test) = (args.data.load_split(Split::Train)?, args.data.load_split(Split::Test)?);
    let split = match args.split {
        Split::Train => &train,
        Split::Test => &test,
    };
    let last = split.len() - 1;
    ensure!(args.index <= last, "index: expected 0 to {last}, found {}", args.index);
    print(dataset_statistics(&train, &test))?;

    let (count, columns) = (usize::from(args.rows) * usize::from(args.columns), usize::from(args.columns));
    let mut shown = split.slice(args.index..split.len().min(args.index + count));
    if args.augment {
        shown = augmented_copies(&shown, count, args.seed)?;
    }
    let images: Vec<_> = (0..shown.len())
        .map(|index| CaptionedImage::from_digit(shown.image(index), shown.labels()[index].to_string()))
        .collect();
    if std::io::stdout().is_terminal() {
        // A console of Windows interprets color codes only after a program has asked for it.
        anstyle_query::windows::enable_ansi_colors();
        let width = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        print(terminal::draw(&images, columns, width, ColorSupport::from_environment()))?;
    }
    if let Some(path) = &args.out {
        figure::image_grid("", &images, columns).save(path)?;
        print(format_args!("\n{} images written to {}\n", images.len(), path.display()))?;
    }
    Ok(())
}

/// Formats the shapes of the four arrays, and the number of images of each digit.
fn dataset_statistics(train: &Dataset, test: &Dataset) -> String {
    let shapes = |dataset: &Dataset| format!("({0}, {SIDE}, {SIDE}) ({0},)", dataset.len());
    let mut text = format!("{} {}\n\ndigit", shapes(train), shapes(test));
    for digit in 0..CLASSES {
        let _ = write!(text, " {digit:>6}");
    }
    for (name, dataset) in [("train", train), ("test ", test)] {
        let _ = write!(text, "\n{name}");
        for count in dataset.label_counts() {
            let _ = write!(text, " {count:>6}");
        }
    }
    text + "\n"
}

/// Returns the first image of `dataset` and augmentations of it, `count` images in all.
fn augmented_copies(dataset: &Dataset, count: usize, seed: u64) -> anyhow::Result<Dataset> {
    let mut augmenter = Augmenter::new(Augmentation::default())?;
    let mut images = dataset.image(0).repeat(count);
    for (index, image) in images.chunks_exact_mut(PIXELS).enumerate().skip(1) {
        augmenter.augment(dataset.image(0), seed ^ ((index as u64) << 32), image);
    }
    Ok(Dataset::new(images, vec![dataset.labels()[0]; count])?)
}
