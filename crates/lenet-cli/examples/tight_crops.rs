//! Measures the recognition of tight crops: digits of MNIST cut so that they touch all four edges of the picture, as bounding
//! boxes of contours are. Prints the accuracy on each set, read as one digit and as any number of digits.
//!
//! ```text
//! cargo run --release -p lenet-cli --example tight_crops            # the last 10,000 training images
//! cargo run --release -p lenet-cli --example tight_crops -- test    # the test images
//! cargo run --release -p lenet-cli --example tight_crops -- 2000    # the first of them only
//! ```

use std::{env, error::Error};

use image::{
    GrayImage,
    imageops::{self, FilterType},
};
use lenet::{
    Dataset, SIDE,
    image::{self as stages, ImageView},
    pretrained,
    recognize::Recognizer,
};
use rayon::prelude::*;

/// Enlargement of the first two sets.
const SCALE: u32 = 4;
/// Radius of the dilation of the second set, in pixels after the enlargement: a square of 9x9.
const DILATION_RADIUS_PX: usize = 4;
/// Longer side of the third set's pictures, which is that of USPS digits.
const SMALL_SIDE_PX: u32 = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let mut data = lenet_mnist::train().slice(50_000..60_000);
    let mut count = data.len();
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "test" => data = lenet_mnist::test(),
            number => count = number.parse()?,
        }
    }
    let recognizer = Recognizer::new(pretrained::handwriting().0)?;
    println!("  single    all  blank  set");
    for (name, cut) in [
        ("enlarged 4 times", enlarged as fn(&GrayImage) -> GrayImage),
        ("enlarged 4 times, dilated by 9x9", dilated),
        ("16 pixels", small),
    ] {
        for inverted in [false, true] {
            let [single, all, blank] = accuracies(&recognizer, &data, count.min(data.len()), |digit| {
                let mut cut = cut(digit);
                if inverted {
                    imageops::invert(&mut cut);
                }
                cut
            });
            let polarity = if inverted { "dark on light" } else { "light on dark" };
            println!("{single:>7.2}% {all:>5.1}% {blank:>5.1}%  {name}, {polarity}");
        }
    }
    Ok(())
}

/// Returns the percentages of the first `count` images that are read correctly as one digit and as any number of digits, and of
/// those without any candidate.
fn accuracies(
    recognizer: &Recognizer,
    data: &Dataset,
    count: usize,
    cut: impl Fn(&GrayImage) -> GrayImage + Sync,
) -> [f64; 3] {
    let results: Vec<[bool; 3]> = (0..count)
        .into_par_iter()
        .map(|index| {
            let side = SIDE as u32;
            let digit = GrayImage::from_raw(side, side, data.image(index).to_vec()).expect("28x28 pixels");
            let cut = cut(&digit);
            let view =
                ImageView::new(cut.width() as usize, cut.height() as usize, &cut).expect("gray pixels");
            let label = data.labels()[index].to_string();
            let single = recognizer.read_single(&view);
            [single.text == label, recognizer.read(&view).text == label, single.digits.is_empty()]
        })
        .collect();
    [0, 1, 2].map(|column| {
        100.0 * results.iter().filter(|result| result[column]).count() as f64 / count.max(1) as f64
    })
}

fn enlarged(digit: &GrayImage) -> GrayImage {
    cut_to_ink(&enlarge(digit))
}

fn dilated(digit: &GrayImage) -> GrayImage {
    let large = enlarge(digit);
    let (width, height) = large.dimensions();
    let gray = stages::GrayImage {
        width: width as usize,
        height: height as usize,
        values: large.into_raw(),
        scale: 1,
    };
    let dilated = stages::dilate(&gray, DILATION_RADIUS_PX).values;
    cut_to_ink(&GrayImage::from_raw(width, height, dilated).expect("as many pixels as before"))
}

fn small(digit: &GrayImage) -> GrayImage {
    let cut = cut_to_ink(digit);
    let longer = cut.width().max(cut.height());
    let [width, height] =
        [cut.width(), cut.height()].map(|side| ((side * SMALL_SIDE_PX + longer / 2) / longer).max(1));
    imageops::resize(&cut, width, height, FilterType::Triangle)
}

fn enlarge(digit: &GrayImage) -> GrayImage {
    imageops::resize(digit, SCALE * digit.width(), SCALE * digit.height(), FilterType::CatmullRom)
}

/// Cuts an image to the bounding box of its pixels above 0.
fn cut_to_ink(image: &GrayImage) -> GrayImage {
    let ink = image.enumerate_pixels().filter(|(_, _, pixel)| pixel[0] > 0).map(|(x, y, _)| (x, y));
    let (mut left, mut top, mut right, mut bottom) = (image.width() - 1, image.height() - 1, 0, 0);
    for (x, y) in ink {
        (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
    }
    let (width, height) = (right.saturating_sub(left) + 1, bottom.saturating_sub(top) + 1);
    imageops::crop_imm(image, left, top, width, height).to_image()
}
