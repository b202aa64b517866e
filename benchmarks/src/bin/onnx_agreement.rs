//! Compares tract's and rten's probabilities for the ONNX models that lenet writes with lenet's own, on MNIST's 10,000 test
//! images.
//!
//! ```sh
//! cargo run --release --features rten,tract --bin onnx_agreement
//! ```
//!
//! Fails if a probability differs by more than [`MAX_DIFFERENCE`], or the most probable digit where the two most probable ones
//! differ by more.

use std::error::Error;

use lenet::{
    CLASSES, PIXELS, SIDE,
    nn::argmax,
    onnx::{self, PixelType},
    pretrained,
};
use rten::ModelOptions;
use rten_tensor::{NdTensor, prelude::*};
use tract_onnx::prelude::*;

/// Largest difference of two probabilities.
const MAX_DIFFERENCE: f32 = 1e-4;
/// Images in a batch.
const BATCH_SIZE: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let test = lenet_mnist::test();
    let mut agrees = true;
    println!("| network | runtime | largest difference | other digits |");
    println!("|---|---|---:|---:|");
    for name in ["lenet5", "vgg", "micro", "handwriting"] {
        let (network, provenance) = pretrained::by_name(name).ok_or("a built-in network")?;
        let model = onnx::to_bytes(&network, Some(&provenance), PixelType::Uint8, onnx::DEFAULT_OPSET)?;
        let expected = network.probabilities(test.images());
        let runtimes: [(&str, fn(&[u8], &[u8]) -> Result<Vec<f32>, Box<dyn Error>>); 2] =
            [("rten", run_rten), ("tract", run_tract)];
        for (runtime, run) in runtimes {
            let actual = run(&model, test.images())?;
            let differences = actual.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            let largest = differences.fold(0.0, f32::max);
            let rows = actual.chunks_exact(CLASSES).zip(expected.chunks_exact(CLASSES));
            let others = rows.filter(|(a, b)| argmax(a) != argmax(b) && !is_undecided(b)).count();
            println!("| `{name}` | {runtime} | {largest:.1e} | {others} |");
            agrees &= actual.len() == expected.len() && largest <= MAX_DIFFERENCE && others == 0;
        }
    }
    if agrees { Ok(()) } else { Err(format!("expected differences of at most {MAX_DIFFERENCE}").into()) }
}

/// Returns whether the two largest probabilities differ by at most [`MAX_DIFFERENCE`].
fn is_undecided(probabilities: &[f32]) -> bool {
    let mut sorted = probabilities.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted[0] - sorted[1] <= MAX_DIFFERENCE
}

/// Returns the probabilities (image, class).
fn run_rten(model: &[u8], images: &[u8]) -> Result<Vec<f32>, Box<dyn Error>> {
    let model = ModelOptions::with_all_ops().load(model.to_vec())?;
    let mut probabilities = Vec::new();
    for batch in images.chunks(BATCH_SIZE * PIXELS) {
        let pixels = NdTensor::from_data([batch.len() / PIXELS, SIDE, SIDE], batch.to_vec());
        let output: NdTensor<f32, 2> = model.run_one(pixels.view().into(), None)?.try_into()?;
        probabilities.extend(output.iter());
    }
    Ok(probabilities)
}

/// Returns the probabilities (image, class).
fn run_tract(model: &[u8], images: &[u8]) -> Result<Vec<f32>, Box<dyn Error>> {
    let model = onnx().model_for_read(&mut &*model)?;
    let model = model.with_input_fact(0, u8::fact([BATCH_SIZE, SIDE, SIDE]).into())?;
    let model = model.into_optimized()?.into_runnable()?;
    let mut probabilities = Vec::new();
    for batch in images.chunks(BATCH_SIZE * PIXELS) {
        let pixels: Tensor =
            tract_ndarray::Array3::from_shape_vec((batch.len() / PIXELS, SIDE, SIDE), batch.to_vec())?.into();
        let output = model.run(tvec!(pixels.into()))?;
        probabilities.extend(output[0].to_plain_array_view::<f32>()?.iter());
    }
    Ok(probabilities)
}
