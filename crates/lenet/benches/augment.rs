//! Time of augmenting one image: `cargo bench -p lenet --bench augment`.

use std::{hint::black_box, time::Instant};

use lenet::{
    PIXELS, SIDE,
    data::augment::{Augmentation, Augmenter, Elastic},
};

/// Images per run.
const IMAGES: u64 = 1000;
/// Runs, of which the fastest counts.
const RUNS: usize = 50;

/// Returns a ring with the soft edges and the size of a handwritten zero.
fn ring() -> Vec<u8> {
    let ink = |i: usize| {
        let (y, x) = ((i / SIDE) as f64 - 13.5, (i % SIDE) as f64 - 13.5);
        255.0 * (2.0 - (x.hypot(1.2 * y) - 6.0).abs()).clamp(0.0, 1.0)
    };
    (0..PIXELS).map(|i| ink(i) as u8).collect()
}

fn main() {
    let affine = Augmentation {
        rotation: 180.0,
        scale: 0.5,
        shear: 0.5,
        shift: 5.0,
        stroke: 0.0,
        noise: 0.0,
        elastic: None,
    };
    let elastic = |sigma| Augmentation { elastic: Some(Elastic { rms: 1.0, sigma }), ..affine };
    let cases = [
        ("affine", affine),
        ("elastic, sigma 2 px", elastic(2.0)),
        ("elastic, sigma 4 px", elastic(4.0)),
        ("elastic, sigma 8 px", elastic(8.0)),
        ("affine, stroke, noise", Augmentation { stroke: 0.5, noise: 0.5, ..affine }),
    ];
    let (image, mut output) = (ring(), vec![0; PIXELS]);
    for (name, augmentation) in cases {
        let mut augmenter = Augmenter::new(black_box(augmentation)).expect("valid strengths");
        let mut run = || {
            let start = Instant::now();
            (0..IMAGES).for_each(|key| augmenter.augment(&image, key, black_box(&mut output)));
            start.elapsed().as_secs_f64() / IMAGES as f64
        };
        let seconds = (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min);
        println!("{name:>22}: {:.2} us per image", 1e6 * seconds);
    }
}
