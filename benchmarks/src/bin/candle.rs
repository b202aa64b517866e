//! candle on its CPU device, which reads the number of threads from `RAYON_NUM_THREADS`.

use benchmarks::{BATCH, Model, Run, Work, infer, test_images, train};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{
    AdamW, Conv2d, Conv2dConfig, Dropout, Linear, Module, Optimizer, ParamsAdamW, SGD, VarBuilder, VarMap,
    conv2d, linear, loss::cross_entropy,
};
use clap::Parser;

const CPU: Device = Device::Cpu;

enum Network {
    LeNet5 { conv: [Conv2d; 3], fc: [Linear; 2] },
    Cnn { conv: Conv2d, dropout: Dropout, fc: [Linear; 2] },
    Mlp([Linear; 2]),
}

impl Network {
    fn new(model: Model, vb: &VarBuilder) -> Result<Self> {
        let conv = |name, from, to, padding| {
            conv2d(from, to, 5, Conv2dConfig { padding, ..Default::default() }, vb.pp(name))
        };
        let fc = |name, from, to| linear(from, to, vb.pp(name));
        Ok(match model {
            Model::Lenet5 => Self::LeNet5 {
                conv: [conv("conv1", 1, 6, 2)?, conv("conv2", 6, 16, 0)?, conv("conv3", 16, 120, 0)?],
                fc: [fc("fc1", 120, 84)?, fc("fc2", 84, 10)?],
            },
            Model::Cnn => Self::Cnn {
                conv: conv("conv", 1, 10, 2)?,
                dropout: Dropout::new(0.2),
                fc: [fc("fc", 27 * 27 * 10, 128)?, fc("output", 128, 10)?],
            },
            Model::Mlp => Self::Mlp([fc("layer1", 784, 784)?, fc("layer2", 784, 10)?]),
        })
    }

    fn forward(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        match self {
            Self::LeNet5 { conv: [conv1, conv2, conv3], fc: [fc1, fc2] } => {
                let x = conv1.forward(x)?.tanh()?.avg_pool2d(2)?;
                let x = conv2.forward(&x)?.tanh()?.avg_pool2d(2)?;
                let x = conv3.forward(&x)?.tanh()?.flatten_from(1)?;
                fc2.forward(&fc1.forward(&x)?.tanh()?)
            }
            Self::Cnn { conv, dropout, fc: [fc, output] } => {
                let x = max_pool(&max_pool(&conv.forward(x)?.relu()?, 2)?, 3)?;
                let x = dropout.forward(&x, training)?.flatten_from(1)?;
                output.forward(&fc.forward(&x)?.relu()?)
            }
            Self::Mlp([layer1, layer2]) => layer2.forward(&layer1.forward(&x.flatten_from(1)?)?.relu()?),
        }
    }
}

/// Returns the larger of each two neighbors along `dim`, because candle's own max-pooling has no gradient for stride 1.
fn max_pool(x: &Tensor, dim: usize) -> Result<Tensor> {
    let len = x.dim(dim)? - 1;
    x.narrow(dim, 0, len)?.maximum(&x.narrow(dim, 1, len)?)
}

fn main() -> Result<()> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &CPU);
    match Work::parse() {
        Work::Train { model, run } => {
            let network = Network::new(model, &builder)?;
            if model == Model::Mlp {
                train_network(run, &network, SGD::new(variables.all_vars(), 0.01)?);
            } else {
                let adam = ParamsAdamW { weight_decay: 0.0, ..Default::default() };
                train_network(run, &network, AdamW::new(variables.all_vars(), adam)?);
            }
        }
        Work::Infer { run, .. } => {
            Network::new(Model::Lenet5, &builder)?;
            let variables = variables.data().lock().expect("one thread");
            // Detached, because a variable records its operations for backward.
            let tensors = variables.iter().map(|(name, v)| (name.clone(), v.as_detached_tensor())).collect();
            let network = Network::new(Model::Lenet5, &VarBuilder::from_tensors(tensors, DType::F32, &CPU))?;
            let network = &network;
            infer(run, |batch| {
                let x = Tensor::from_vec(test_images(batch), (batch, 1, 28, 28), &CPU).expect("a batch");
                move || network.forward(&x, false).expect("logits")
            });
        }
    }
    Ok(())
}

fn train_network(run: Run, network: &Network, mut optimizer: impl Optimizer) {
    let mut step = |pixels, labels: Vec<i64>| -> Result<f32> {
        let x = Tensor::from_vec(pixels, (BATCH, 1, 28, 28), &CPU)?;
        let y = Tensor::from_vec(labels, BATCH, &CPU)?;
        let loss = cross_entropy(&network.forward(&x, true)?, &y)?;
        optimizer.backward_step(&loss)?;
        loss.to_scalar()
    };
    train(run, |pixels, labels| step(pixels, labels).expect("a step"));
}
