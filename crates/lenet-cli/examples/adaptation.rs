//! Measures the adaptation of the network `handwriting` to writers that it was not trained on.
//!
//! ```text
//! cargo run --release -p lenet-cli --example adaptation -- DIGITS... --nondigits FOLDER... [--pages N] [--mnist test]
//!     [--part I/N] [--seed N] [NAME=VALUE...]
//! ```
//!
//! `DIGITS` are folders of pictures with `labels.tsv` (file, label, source), as for `lenet eval --pictures`, whose sources are
//! writers, or files `NAME-images-idx3-ubyte.gz` with their labels beside them. Images of a file are one writer for each block
//! between `:` and the end of the argument: `FILE:138` makes blocks of 138 images, `FILE:labels` begins one where labels start
//! again from 0, and `FILE` alone is one writer. From a picture of several digits, the digits of each line are taken as the
//! recognizer finds them, if it finds as many as the label has.
//!
//! For each writer, the digits of each class are dealt to two halves. The network is adapted to one half and reads the other,
//! and then the halves are exchanged. A digit is an error if it is misread, or rejected by the network's threshold. Halves with
//! fewer digits than [`AdaptParams::min_digits`] are read by the network as it is. Each adapted network also classifies MNIST (the
//! last 10,000 training images, of which none is rehearsed, or with `--mnist test` the test images) and reads the pictures of the
//! folders after `--nondigits` as a single digit, and the first `N` adapted networks also as pages.

use std::{collections::BTreeMap, env, error::Error, fs, io::Cursor, ops::ControlFlow, path::Path};

use lenet::{
    CLASSES, Dataset, PIXELS, SIDE,
    data::idx,
    image::{ImageView, Rect},
    metrics::Evaluation,
    nn::Network,
    pretrained,
    recognize::{Recognizer, RecognizerParams},
    train::adapt::{AdaptParams, adapt},
};
use lenet_cli::{data, decode};
use rayon::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Training images that may be rehearsed, from the first on. The last ones show what was forgotten.
const REHEARSAL_IMAGES: usize = 50_000;

/// Pixels of a picture.
struct Picture {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Picture {
    fn decode(path: &Path) -> Result<Self> {
        let decoded = decode::decode(Cursor::new(fs::read(path)?), decode::DEFAULT_MAX_MEGAPIXELS)?;
        let view = decoded.view()?;
        let (width, height) = (view.width(), view.height());
        let bytes = view.crop(Rect { x: 0, y: 0, width, height }).ok_or("a picture has pixels")?;
        Ok(Self { width, height, bytes })
    }

    fn view(&self) -> ImageView<'_> {
        ImageView::new(self.width, self.height, &self.bytes).expect("the size of the picture")
    }
}

/// A picture of one digit.
struct Digit {
    picture: Picture,
    label: u8,
    /// The image that is learned.
    normalized: [u8; PIXELS],
}

/// Digits that were read.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    digits: usize,
    /// Misread, but not rejected.
    misread: usize,
    rejected: usize,
    /// Misread or rejected by `lenet recognize --single`, whose threshold is lower.
    single_errors: usize,
}

impl Counts {
    fn sum(self, other: Self) -> Self {
        Self {
            digits: self.digits + other.digits,
            misread: self.misread + other.misread,
            rejected: self.rejected + other.rejected,
            single_errors: self.single_errors + other.single_errors,
        }
    }

    fn errors(self) -> usize {
        self.misread + self.rejected
    }
}

/// A network as a recognizer of single digits.
struct Reader {
    /// Rejects by the network's threshold.
    strict: Recognizer,
    /// As `lenet recognize`.
    default: Recognizer,
}

impl Reader {
    fn new(network: &Network) -> Result<Self> {
        let default = Recognizer::new(network.clone())?;
        let mut params = RecognizerParams::default();
        params.reject.min_single_digit_probability = 1.0;
        Ok(Self { strict: default.clone().with_params(params), default })
    }

    fn read(&self, digits: &[&Digit]) -> Counts {
        let count = |digit: &&Digit| {
            let view = digit.picture.view();
            let [strict, single] = [&self.strict, &self.default].map(|it| it.read_single(&view));
            let is_right = strict.digits.first().is_some_and(|it| it.digit == digit.label);
            let is_rejected = strict.digits.first().is_none_or(|it| it.rejected);
            let single_is_right = single.digits_only() == digit.label.to_string();
            Counts {
                digits: 1,
                misread: usize::from(!is_right && !is_rejected),
                rejected: usize::from(is_rejected),
                single_errors: usize::from(!single_is_right),
            }
        };
        digits.par_iter().map(count).reduce(Counts::default, Counts::sum)
    }

    /// Returns how many pictures show no digit: as a single digit by the network's threshold, and as `lenet recognize --single`.
    fn rejected_singles(&self, pictures: &[Picture]) -> [usize; 2] {
        [&self.strict, &self.default].map(|recognizer| {
            let is_rejected = |picture: &&Picture| has_no_digit(&recognizer.read_single(&picture.view()));
            pictures.par_iter().filter(is_rejected).count()
        })
    }

    fn rejected_pages(&self, pictures: &[Picture]) -> usize {
        let is_rejected = |picture: &&Picture| has_no_digit(&self.default.read(&picture.view()));
        pictures.par_iter().filter(is_rejected).count()
    }
}

fn has_no_digit(reading: &lenet::recognize::Reading) -> bool {
    reading.digits.iter().all(|digit| digit.rejected)
}

/// The arguments of the program.
struct Args {
    digits: Vec<String>,
    nondigits: Vec<String>,
    pages: usize,
    is_mnist_test: bool,
    /// Every which of how many writers.
    part: [usize; 2],
    seed: u64,
    params: AdaptParams,
}

impl Args {
    fn parse() -> Result<Self> {
        let mut args = Self {
            digits: Vec::new(),
            nondigits: Vec::new(),
            pages: 0,
            is_mnist_test: false,
            part: [0, 1],
            seed: 0,
            params: AdaptParams::default(),
        };
        let mut option = String::new();
        for arg in env::args().skip(1) {
            if let Some((name, value)) = arg.split_once('=') {
                set(&mut args.params, name, value)?;
                continue;
            }
            match option.as_str() {
                "--nondigits" if !arg.starts_with("--") => args.nondigits.push(arg),
                "--pages" => (args.pages, option) = (arg.parse()?, String::new()),
                "--mnist" => (args.is_mnist_test, option) = (arg == "test", String::new()),
                "--seed" => (args.seed, option) = (arg.parse()?, String::new()),
                "--part" => {
                    let (index, count) = arg.split_once('/').ok_or("--part: expected I/N")?;
                    (args.part, option) = ([index.parse()?, count.parse()?], String::new());
                }
                _ if arg.starts_with("--") => option = arg,
                _ => args.digits.push(arg),
            }
        }
        Ok(args)
    }
}

fn set(params: &mut AdaptParams, name: &str, value: &str) -> Result<()> {
    match name {
        "min_digits" => params.min_digits = value.parse()?,
        "min_image_passes" => params.min_image_passes = value.parse()?,
        "min_image_passes_per_digit" => params.min_image_passes_per_digit = value.parse()?,
        "digit_fraction" => params.digit_fraction = value.parse()?,
        "glyphs" => params.rehearsal.glyphs = value.parse()?,
        "line_crops" => params.rehearsal.line_crops = value.parse()?,
        "outliers" => params.rehearsal.outliers = value.parse()?,
        "low_res" => params.rehearsal.low_res = value.parse()?,
        "batch_size" => params.batch_size = value.parse()?,
        "lr" => params.lr = value.parse()?,
        "min_known_probability" => params.min_known_probability = value.parse()?,
        "label_smoothing" => params.label_smoothing = value.parse()?,
        "interpolation" => params.interpolation = value.parse()?,
        _ => return Err(format!("{name}: expected a setting that is a number").into()),
    }
    Ok(())
}

/// Adds a digit to its writer, unless it has no ink.
fn add_digit(
    writers: &mut BTreeMap<String, Vec<Digit>>,
    reader: &Reader,
    writer: String,
    picture: Picture,
    label: u8,
) {
    if let Some(digit) = reader.default.read_single(&picture.view()).digits.first() {
        let normalized = digit.normalized;
        writers.entry(writer).or_default().push(Digit { picture, label, normalized });
    }
}

/// Reads the digits of an IDX file, with the writers that the argument after `:` says.
fn read_idx(writers: &mut BTreeMap<String, Vec<Digit>>, reader: &Reader, arg: &str) -> Result<()> {
    let (path, blocks) = arg.split_once(':').unwrap_or((arg, ""));
    let labels_path = path.replace("images-idx3", "labels-idx1");
    let labels = data::read_idx_file(Path::new(&labels_path), idx::read_labels)?;
    let (width, height, mut pixels) = data::read_idx_file(Path::new(path), idx::read_images_of_any_size)?;
    let brightest = pixels.iter().copied().max().unwrap_or(0).max(1);
    pixels.iter_mut().for_each(|value| *value = (u32::from(*value) * 255 / u32::from(brightest)) as u8);
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    let name = name.split('-').next().unwrap_or_default();
    let mut block = 0;
    for (index, (pixels, &label)) in pixels.chunks_exact(width * height).zip(&labels).enumerate() {
        block = match blocks {
            "" => 0,
            "labels" => block + usize::from(index > 0 && label < labels[index - 1]),
            len => index / len.parse::<usize>()?,
        };
        let picture = Picture { width, height, bytes: pixels.to_vec() };
        add_digit(writers, reader, format!("{name} {block:02}"), picture, label);
    }
    Ok(())
}

/// Reads the digits of the pictures of a folder.
fn read_folder(writers: &mut BTreeMap<String, Vec<Digit>>, reader: &Reader, folder: &str) -> Result<()> {
    let text = fs::read_to_string(Path::new(folder).join("labels.tsv"))?;
    for row in data::labels_tsv::parse(&text)? {
        let picture = Picture::decode(&Path::new(folder).join(row.file))?;
        let writer = format!("{folder} {}", row.source);
        if row.digits.len() == 1 {
            add_digit(writers, reader, writer, picture, row.digits.parse()?);
            continue;
        }
        let digits = reader.default.read(&picture.view()).digits;
        let lines: Vec<&str> = row.digits.lines().collect();
        let found = |line: usize| digits.iter().filter(move |digit| digit.line == line);
        if digits.iter().any(|digit| digit.line >= lines.len()) {
            continue;
        }
        for (line, labels) in lines.into_iter().enumerate() {
            if found(line).count() == labels.len() {
                for (digit, label) in found(line).zip(labels.bytes()) {
                    let picture = Picture { width: SIDE, height: SIDE, bytes: digit.normalized.to_vec() };
                    add_digit(writers, reader, writer.clone(), picture, label - b'0');
                }
            }
        }
    }
    Ok(())
}

/// Deals the digits of each class to two halves, and returns the one to learn and the one to read.
fn halves(digits: &[Digit], half: usize) -> [Vec<&Digit>; 2] {
    let mut seen = [0; CLASSES];
    let (learned, read) = digits.iter().partition(|digit| {
        let class = usize::from(digit.label);
        seen[class] += 1;
        (seen[class] + class) % 2 == half
    });
    [learned, read]
}

/// What the adaptations did to MNIST and to pictures without digits: a value of each adapted network.
#[derive(Default)]
struct Forgotten {
    accuracies: Vec<f64>,
    singles: Vec<[usize; 2]>,
    pages: Vec<usize>,
}

fn main() -> Result<()> {
    let args = Args::parse()?;
    let (network, _) = pretrained::handwriting();
    let reader = Reader::new(&network)?;
    let mut writers = BTreeMap::new();
    for path in &args.digits {
        if Path::new(path).is_dir() {
            read_folder(&mut writers, &reader, path)?;
        } else {
            read_idx(&mut writers, &reader, path)?;
        }
    }
    let mut nondigits = Vec::new();
    for folder in &args.nondigits {
        let text = fs::read_to_string(Path::new(folder).join("labels.tsv"))?;
        for row in data::labels_tsv::parse(&text)? {
            nondigits.push(Picture::decode(&Path::new(folder).join(row.file))?);
        }
    }
    let train = lenet_mnist::train();
    let rehearsal = train.slice(0..REHEARSAL_IMAGES);
    let mnist =
        if args.is_mnist_test { lenet_mnist::test() } else { train.slice(REHEARSAL_IMAGES..train.len()) };
    let accuracy = |network: &Network| -> Result<f64> {
        Ok(Evaluation::new(mnist.labels(), &network.probabilities(mnist.images()))?.accuracy())
    };

    let mut forgotten = Forgotten::default();
    let [index, count] = args.part;
    let (mut before, mut after) = (Counts::default(), Counts::default());
    println!("digits  misread rejected single  ->  misread rejected single  writer");
    let line = |before: Counts, after: Counts, name: &str| {
        println!(
            "{:>6}  {:>7} {:>8} {:>6}  ->  {:>7} {:>8} {:>6}  {name}",
            before.digits,
            before.misread,
            before.rejected,
            before.single_errors,
            after.misread,
            after.rejected,
            after.single_errors
        );
    };
    for (_, (writer, digits)) in writers.iter().enumerate().filter(|(number, _)| number % count == index) {
        let (mut writer_before, mut writer_after) = (Counts::default(), Counts::default());
        for half in 0..2 {
            let [learned, read] = halves(digits, half);
            let counts = reader.read(&read);
            writer_before = writer_before.sum(counts);
            if learned.len() < args.params.min_digits {
                writer_after = writer_after.sum(counts);
                continue;
            }
            let images = learned.iter().flat_map(|digit| digit.normalized).collect();
            let learned = Dataset::new(images, learned.iter().map(|digit| digit.label).collect())?;
            let observe = |_| ControlFlow::Continue(());
            let adapted = adapt(&network, &learned, &rehearsal, &args.params, args.seed, observe)?;
            let adapted_reader = Reader::new(&adapted)?;
            writer_after = writer_after.sum(adapted_reader.read(&read));
            forgotten.accuracies.push(accuracy(&adapted)?);
            forgotten.singles.push(adapted_reader.rejected_singles(&nondigits));
            if forgotten.pages.len() < args.pages {
                forgotten.pages.push(adapted_reader.rejected_pages(&nondigits));
            }
        }
        line(writer_before, writer_after, writer);
        (before, after) = (before.sum(writer_before), after.sum(writer_after));
    }
    line(before, after, "all");
    let change = after.errors() as f64 / before.errors() as f64 - 1.0;
    println!("errors {} -> {} ({:+.1}%)", before.errors(), after.errors(), 100.0 * change);

    let (old, networks) = (accuracy(&network)?, forgotten.accuracies.len());
    let mean = forgotten.accuracies.iter().sum::<f64>() / networks as f64;
    let worst = forgotten.accuracies.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "MNIST: {:.2}% -> mean {:+.3} points, worst {:+.2} points, of {networks} networks",
        100.0 * old,
        100.0 * (mean - old),
        100.0 * (worst - old)
    );
    let singles = reader.rejected_singles(&nondigits);
    for (kind, name) in ["single digits, network's threshold", "single digits"].iter().enumerate() {
        report_rejected(name, singles[kind], forgotten.singles.iter().map(|singles| singles[kind]));
    }
    if args.pages > 0 {
        report_rejected("pages", reader.rejected_pages(&nondigits), forgotten.pages.iter().copied());
    }
    Ok(())
}

/// Prints how many pictures without digits are rejected before and after.
fn report_rejected(name: &str, before: usize, after: impl ExactSizeIterator<Item = usize> + Clone) {
    let mean = after.clone().sum::<usize>() as f64 / after.len() as f64;
    let worst = after.clone().min().unwrap_or(0);
    println!(
        "nondigits rejected as {name}: {before} -> mean {mean:.2}, worst {worst}, of {} networks",
        after.len()
    );
}
