//! Where the time of a training step goes: `cargo test --release -p lenet profile -- --ignored --nocapture`
//!
//! One thread's share of a batch of 100 on two threads, seven blocks, layer by layer as the workspace runs them; the
//! share of the peak counts the multiply-adds that the layer has to do for its images, idle lanes as nothing. Pooling and the
//! activation before it, which training goes back through together, are timed each for itself, and the optimiser isn't.

use std::{hint::black_box, time::Instant};

use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch};

use super::{fixtures::INPUT, golden::architectures};
use crate::{
    Architecture,
    layout::{LANES, Lanes, zeros},
    operator::{Pass, Placement},
};

const BLOCKS: usize = 7;
const IMAGES: usize = 50;

/// Chains of multiply-adds that don't wait for each other: multiply-adds done.
#[inline(always)]
fn multiply_add<S: Simd>(simd: S, rounds: usize) -> f64 {
    let mut sums = [S::f32s::splat(simd, 1.0); 12];
    let (factor, term) = (S::f32s::splat(simd, black_box(0.5)), S::f32s::splat(simd, black_box(0.25)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, term);
        }
    }
    black_box(sums.map(|sum| sum.reduce_sum()));
    (rounds * sums.len() * S::f32s::LEN) as f64
}

/// Least seconds of several runs.
fn seconds(mut run: impl FnMut()) -> f64 {
    (0..30)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "measures; asserts nothing"]
fn profile() {
    let level = Level::new();
    let mut done = 0.0;
    let time = seconds(|| done = dispatch!(level, simd => multiply_add(simd, 100_000)));
    let peak = done / time;
    println!("{level:?}: peak {:.1} GFLOP/s on one thread", 2e-9 * peak);
    for architecture in architectures() {
        profile_layers(level, peak, &architecture);
    }
}

fn profile_layers(level: Level, peak: f64, architecture: &Architecture) {
    println!(
        "\n{:<10} {:>12} {:>6} {:>13} {:>6}",
        architecture.name(),
        "forward us",
        "peak",
        "backward us",
        "peak"
    );
    let pass = Pass { level, training: true, dropout_key: Some(1), first_block: 0, samples: IMAGES };
    let mut input = INPUT;
    let (mut total, mut work) = (0.0, 0);
    for (i, row) in architecture.summary().unwrap().into_iter().enumerate() {
        let output = row.output;
        let (mut x, mut dx) = (zeros(BLOCKS * input.len()), zeros(BLOCKS * input.len()));
        let (mut y, mut dy) = (zeros(BLOCKS * output.len()), zeros(BLOCKS * output.len()));
        for (values, value) in [(&mut x, 0.5), (&mut y, 0.25), (&mut dy, 0.125)] {
            values.fill(Lanes([value; LANES]));
        }
        let parameters = vec![0.01; row.parameters];
        let mut gradient = vec![0.0; row.parameters];
        let first = architecture.summary().unwrap()[..i].iter().all(|row| row.parameters == 0);
        let (forward, backward) = if let Some(activation) = row.layer.activation() {
            (
                seconds(|| y.chunks_mut(output.len()).for_each(|y| activation.forward(level, y))),
                seconds(|| {
                    let ys = y.chunks(output.len());
                    ys.zip(dy.chunks_mut(output.len())).for_each(|(y, dy)| activation.backward(level, y, dy));
                }),
            )
        } else if let Some(mut operator) =
            row.layer.operator(Placement { input, output, max_blocks: BLOCKS, random_stream: 0 })
        {
            let scratch = operator.deferred_weight_gradient().map_or(0, |layer| layer.scratch_len(BLOCKS));
            let mut scratch = zeros(scratch);
            let blocks = if operator.takes_whole_batch() { BLOCKS } else { 1 };
            let forward = seconds(|| {
                operator.prepare(level, &parameters);
                for (x, y) in x.chunks(blocks * input.len()).zip(y.chunks_mut(blocks * output.len())) {
                    operator.forward(pass, &parameters, x, y);
                }
            });
            let backward = seconds(|| {
                let xs = x.chunks(blocks * input.len()).zip(dx.chunks_mut(blocks * input.len()));
                for ((x, dx), dy) in xs.zip(dy.chunks(blocks * output.len())) {
                    operator.backward(pass, &parameters, x, dy, (!first).then_some(dx), &mut gradient);
                }
                operator.reduce_gradient(level, &mut gradient);
                if let Some(layer) = operator.deferred_weight_gradient() {
                    let batch = |slice| (slice == 0).then_some((&x[..], &dy[..]));
                    let panel = layer.panel_len();
                    for (i, gradient) in gradient[..layer.weights()].chunks_mut(panel).enumerate() {
                        layer.write_panel(level, i * panel, &batch, &mut scratch, gradient);
                    }
                }
            });
            (forward, backward)
        } else {
            (0.0, 0.0)
        };
        let share = |passes: usize, time: f64| {
            let adds = passes * row.multiply_adds * IMAGES;
            if adds == 0 { String::new() } else { format!("{:.0}%", 100.0 * adds as f64 / time / peak) }
        };
        let passes = if first { 1 } else { 2 };
        println!(
            "{:<10} {:>12.1} {:>6} {:>13.1} {:>6}",
            row.name,
            1e6 * forward,
            share(1, forward),
            1e6 * backward,
            share(passes, backward)
        );
        total += forward + backward;
        work += (1 + passes) * row.multiply_adds * IMAGES;
        input = output;
    }
    println!("{:<10} {:>12.1} {:>5.0}%", "all", 1e6 * total, 100.0 * work as f64 / total / peak);
}
