//! Measures the machine's peak: independent fused multiply-adds in the CPU's widest vector registers.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use benchmarks::Run;
use clap::Parser;
use fearless_simd::{Level, Simd, SimdBase, SimdFloat, dispatch};
use serde_json::json;

/// Independent accumulators. More than the latency of a multiply-add times the number started per cycle, so that none waits
/// for another.
const ACCUMULATORS: usize = 12;
const ITERATIONS: usize = 100_000;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    run: Run,
}

/// Runs [`ITERATIONS`] of the loop and returns the number of multiply-adds.
#[inline(always)]
fn multiply_add<S: Simd>(simd: S) -> usize {
    let factor = S::f32s::splat(simd, black_box(0.999));
    let mut sums: [S::f32s; ACCUMULATORS] = std::array::from_fn(|i| S::f32s::splat(simd, i as f32));
    for _ in 0..ITERATIONS {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, factor);
        }
    }
    black_box(sums);
    ITERATIONS * ACCUMULATORS * S::f32s::LEN
}

fn main() {
    let Run { threads, seconds } = Args::parse().run;
    let level = Level::new();
    let run = || {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs_f64(seconds) {
            count += dispatch!(level, simd => multiply_add(simd));
        }
        count as f64 / start.elapsed().as_secs_f64()
    };
    let rate: f64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    let variant = format!("{level:?}").split("(").next().unwrap_or_default().to_lowercase();
    println!("{}", json!({ "rate": rate, "variant": variant }));
}
