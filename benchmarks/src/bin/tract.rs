//! tract, with a model optimized for each batch size.

use benchmarks::{Work, infer, test_images};
use clap::Parser;
use tract_onnx::prelude::{multithread::*, *};

fn main() -> TractResult<()> {
    let Work::Infer { onnx: path, run } = Work::parse() else { panic!("tract has no training") };
    if run.threads > 1 {
        set_default_executor(Executor::multithread(run.threads));
    }
    let model = onnx().model_for_path(path)?;
    infer(run, |batch| {
        let model = model.clone();
        let model = model.with_input_fact(0, f32::fact([batch, 1, 28, 28]).into()).expect("an input");
        let model = model.into_optimized().and_then(|model| model.into_runnable()).expect("a plan");
        let x: Tensor = tract_ndarray::Array4::from_shape_vec((batch, 1, 28, 28), test_images(batch))
            .expect("a batch")
            .into();
        let x: TValue = x.into();
        move || model.run(tvec!(x.clone())).expect("logits")
    });
    Ok(())
}
