//! Writes valid inputs for each fuzz target to `corpus/TARGET/`, as a start for the fuzzer.

use std::{
    fs,
    io::{self, Cursor, Write},
    ops::ControlFlow,
};

use image::{DynamicImage, GrayImage, ImageFormat};
use lenet::{
    CLASSES, Dataset, PIXELS, SIDE,
    data::{INPUT_SHAPE, augment::Augmentation, idx, synthetic::SyntheticFractions},
    nn::{
        Architecture, BatchNorm2d, Conv2d, Layer, Linear, MaxPool2d, Network,
        optim::{Optimizer, Schedule},
    },
    train::{Recipe, Trainer},
    weights::{self, Provenance},
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Returns a tiny network with every kind of parameter.
fn network(recipe: &Recipe) -> Network {
    let architecture = Architecture::new("small", INPUT_SHAPE, CLASSES)
        .layer("conv", Conv2d::new(1, 1, 5))
        .layer("bn", BatchNorm2d::new(1))
        .layer("relu", Layer::ReLU)
        .layer("pool", MaxPool2d::new(12))
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(4, 10));
    Network::new(architecture, recipe.normalize, 0).expect("the layers fit")
}

/// Returns the checkpoint file of a training after one epoch.
fn checkpoint(recipe: Recipe) -> Vec<u8> {
    let data = Dataset::new(vec![7; 2 * PIXELS], vec![1, 2]).expect("a label for each image");
    let mut trainer = Trainer::new(network(&recipe), &data, recipe, 0)
        .expect("a valid recipe")
        .with_init_weights_name("a file");
    trainer.run_epoch(|_| ControlFlow::Continue(())).expect("nothing interrupts the epoch");
    trainer.checkpoint().to_bytes().expect("valid names")
}

/// Returns one image in the CSV format of Kaggle's Digit Recognizer.
fn csv(labeled: bool) -> String {
    let row = |label: &str, cell: &dyn Fn(usize) -> String| {
        let label = labeled.then(|| label.to_owned());
        label.into_iter().chain((0..PIXELS).map(cell)).collect::<Vec<_>>().join(",")
    };
    [row("label", &|pixel| format!("pixel{pixel}")), row("3", &|pixel| (pixel % 256).to_string())].join("\n")
}

/// The pickle of a dictionary with a tensor of 16 elements.
const STATE_DICT: &[u8] =
    b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
    X\x01\0\0\x000X\x03\0\0\0cpuK\x10tQK\0K\x10\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs.";

/// Returns an NPZ file with one training image.
fn npz(method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, dtype, shape, values) in
        [("x_train.npy", "|u1", "(1, 28, 28)", &[7; PIXELS][..]), ("y_train.npy", "<i2", "(1,)", &[3, 0])]
    {
        let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(name, options).expect("a name that fits");
        let array = [b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes(), values].concat();
        archive.write_all(&array).expect("memory takes the bytes");
    }
    archive.finish().expect("memory takes the bytes").into_inner()
}

/// Returns the input of the target `read` that shows a bar on a page of `side` x `side` pixels: width, height, form, pixels.
fn page(side: u8, form: u8) -> Vec<u8> {
    let gray_level = |index: usize| {
        let (x, y) = (index % usize::from(side), index / usize::from(side));
        let middle = usize::from(side) / 2;
        if x.abs_diff(middle) < 2 && y.abs_diff(middle) < middle / 2 { 20 } else { 230 }
    };
    [side, side, form].into_iter().chain((0..usize::from(side).pow(2)).map(gray_level)).collect()
}

/// Returns the page of `side` x `side` pixels in every image format.
fn image_files(side: u8) -> Vec<Vec<u8>> {
    let page = GrayImage::from_raw(side.into(), side.into(), page(side, 0)[3..].to_vec())
        .expect("a byte for each pixel");
    let page = DynamicImage::from(page);
    let rgba = DynamicImage::from(page.to_rgba8());
    let rgb = DynamicImage::from(page.to_rgb8());
    let encodings = [
        (&page, ImageFormat::Png),
        (&rgba, ImageFormat::Png),
        (&page, ImageFormat::Jpeg),
        (&rgb, ImageFormat::Jpeg),
        (&rgb, ImageFormat::Bmp),
        (&rgba, ImageFormat::Gif),
        (&rgb, ImageFormat::WebP),
        (&page, ImageFormat::Pnm),
        (&page, ImageFormat::Tiff),
    ];
    encodings
        .map(|(image, format)| {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, format).expect("the format supports the image");
            bytes.into_inner()
        })
        .into()
}

fn main() -> io::Result<()> {
    let plain = Recipe { epochs: 2, ..Recipe::default() };
    let full = Recipe {
        ema: 0.9,
        dropout: Some(0.1),
        schedule: Schedule::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 },
        optimizer: Optimizer::AdamW { lr: 0.01, weight_decay: 0.1 },
        synthetic: Some(SyntheticFractions { glyphs: 0.1, line_crops: 0.1, outliers: 0.1, low_res: 0.1 }),
        augmentation: Some(Augmentation::default()),
        ..plain.clone()
    };
    let weights = weights::to_bytes(&network(&plain), &Provenance::default()).expect("valid names");
    let toml = |recipe| toml::to_string(recipe).expect("a recipe is TOML").into_bytes();
    let labels = "a.png\t7\tone@1:a.png\tphoto\nb.png\t12|3\ttwo\nc.png\ta letter\tthree\tscan\n";
    for (target, seeds) in [
        ("read", vec![page(28, 0), page(40, 4), page(60, 0)]),
        ("decode", image_files(12)),
        ("idx", vec![idx::write_images(&[7; SIDE * SIDE], SIDE, SIDE), idx::write_labels(&[1, 2, 3])]),
        ("weights", vec![weights]),
        ("checkpoint", vec![checkpoint(plain.clone()), checkpoint(full.clone())]),
        ("csv", vec![csv(false).into_bytes(), csv(true).into_bytes()]),
        (
            "constraint",
            vec![
                b"d{2}/[01]d/dd?\n4-6\nluhn\n0123456789/\n28/11/26".to_vec(),
                b"\n13\nisbn\n\n9780306406157".to_vec(),
            ],
        ),
        ("pytorch", vec![STATE_DICT.to_vec()]),
        (
            "template",
            vec![b"area = 'page'\n[[field]]\nname = 'n'\nbox = [0, 0.5, 1, 0.5]\nlength = 5\n".to_vec()],
        ),
        ("data_url", vec![b"data:image/png;base64,iVBORw0KGgo=".to_vec()]),
        ("npz", vec![npz(CompressionMethod::Stored), npz(CompressionMethod::Deflated)]),
        ("recipe", vec![toml(&plain), toml(&full)]),
        ("labels", vec![labels.into()]),
    ] {
        let folder = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(format!("{folder}/seed{number}"), seed)?;
        }
    }
    Ok(())
}
