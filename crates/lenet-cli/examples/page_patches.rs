//! Draws a sheet of synthetic page patches, each beside its targets: ink in black and rules in orange.
//!
//! ```text
//! cargo run --release -p lenet-cli --example page_patches -- patches.png [FIRST_KEY]
//! ```

use std::{env, error::Error, time::Instant};

use image::{Rgb, RgbImage};
use lenet::data::synthetic::page::{PATCH_SIDE, PagePatch};

const COLUMNS: usize = 8;
const ROWS: usize = 8;
const GAP: usize = 4;
const ORANGE: [f32; 3] = [232.0, 112.0, 42.0];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let path = args.next().ok_or("usage: page_patches FILE.png [FIRST_KEY]")?;
    let first: u64 = args.next().map_or(Ok(0), |key| key.parse())?;
    let digits = lenet_mnist::train();
    let start = Instant::now();
    let patches: Vec<_> =
        (0..(COLUMNS * ROWS) as u64).map(|key| PagePatch::draw(first + key, &digits)).collect();
    println!("{:.2} ms a patch", start.elapsed().as_secs_f64() * 1000.0 / patches.len() as f64);

    let pitch = [2 * PATCH_SIDE + 2 * GAP, PATCH_SIDE + GAP];
    let mut sheet =
        RgbImage::from_pixel((COLUMNS * pitch[0]) as u32, (ROWS * pitch[1]) as u32, Rgb([200, 210, 220]));
    for (index, patch) in patches.iter().enumerate() {
        let [left, top] = [index % COLUMNS * pitch[0], index / COLUMNS * pitch[1]];
        for at in 0..PATCH_SIDE * PATCH_SIDE {
            let (x, y) = ((left + at % PATCH_SIDE) as u32, (top + at / PATCH_SIDE) as u32);
            sheet.put_pixel(x, y, Rgb([patch.pixels[at]; 3]));
            let [ink, rule] = [0, 1].map(|label| patch.targets[label * PATCH_SIDE * PATCH_SIDE + at]);
            let color = ORANGE.map(|level| (255.0 + rule * (level - 255.0)) * (1.0 - 0.8 * ink));
            sheet.put_pixel(x + PATCH_SIDE as u32, y, Rgb(color.map(|level| level as u8)));
        }
    }
    sheet.save(path)?;
    Ok(())
}
