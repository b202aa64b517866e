//! rten, which reads the number of threads from `RTEN_NUM_THREADS`.

use benchmarks::{Work, infer, test_images};
use clap::Parser;
use rten::{LoadError, ModelOptions};
use rten_tensor::{NdTensor, prelude::*};

fn main() -> Result<(), LoadError> {
    let Work::Infer { onnx, run } = Work::parse() else { panic!("rten has no training") };
    let model = ModelOptions::with_all_ops().prepack_weights(true).load_file(onnx)?;
    let model = &model;
    infer(run, |batch| {
        let x = NdTensor::from_data([batch, 1, 28, 28], test_images(batch));
        move || model.run_one(x.view().into(), None).expect("logits")
    });
    Ok(())
}
