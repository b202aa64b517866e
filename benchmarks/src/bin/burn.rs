//! Burn on its CPU backend `flex`, which reads the number of threads from `RAYON_NUM_THREADS`.

use benchmarks::{Model, Run, Work, infer, test_images, train};
use burn::{
    nn::{
        Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        loss::CrossEntropyLossConfig,
        pool::{AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig},
    },
    optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig},
    prelude::*,
    tensor::{
        TensorData,
        activation::{relu, tanh},
    },
};
use clap::Parser;

trait Network: Module {
    fn logits(&self, x: Tensor<4>) -> Tensor<2>;
}

fn conv(from: usize, to: usize, padding: usize, device: &Device) -> Conv2d {
    let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
    Conv2dConfig::new([from, to], [5, 5]).with_padding(padding).init(device)
}

fn linear(from: usize, to: usize, device: &Device) -> Linear {
    LinearConfig::new(from, to).init(device)
}

#[derive(Module, Debug)]
struct LeNet5 {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    fc1: Linear,
    fc2: Linear,
    pool: AvgPool2d,
}

impl LeNet5 {
    fn new(device: &Device) -> Self {
        Self {
            conv1: conv(1, 6, 2, device),
            conv2: conv(6, 16, 0, device),
            conv3: conv(16, 120, 0, device),
            fc1: linear(120, 84, device),
            fc2: linear(84, 10, device),
            pool: AvgPool2dConfig::new([2, 2]).init(),
        }
    }
}

impl Network for LeNet5 {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(tanh(self.conv1.forward(x)));
        let x = self.pool.forward(tanh(self.conv2.forward(x)));
        let x = tanh(self.conv3.forward(x)).flatten(1, 3);
        self.fc2.forward(tanh(self.fc1.forward(x)))
    }
}

#[derive(Module, Debug)]
struct Cnn {
    conv: Conv2d,
    pool: MaxPool2d,
    dropout: Dropout,
    fc: Linear,
    output: Linear,
}

impl Cnn {
    fn new(device: &Device) -> Self {
        Self {
            conv: conv(1, 10, 2, device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([1, 1]).init(),
            dropout: DropoutConfig::new(0.2).init(),
            fc: linear(27 * 27 * 10, 128, device),
            output: linear(128, 10, device),
        }
    }
}

impl Network for Cnn {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.dropout.forward(self.pool.forward(relu(self.conv.forward(x))));
        self.output.forward(relu(self.fc.forward(x.flatten(1, 3))))
    }
}

#[derive(Module, Debug)]
struct Mlp {
    layer1: Linear,
    layer2: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self { layer1: linear(784, 784, device), layer2: linear(784, 10, device) }
    }
}

impl Network for Mlp {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.layer2.forward(relu(self.layer1.forward(x.flatten(1, 3))))
    }
}

fn main() {
    let device = Device::flex();
    match Work::parse() {
        Work::Train { model, run } => {
            let device = device.autodiff();
            match model {
                Model::Lenet5 => {
                    train_network(run, &device, LeNet5::new(&device), AdamConfig::new().init(), 0.001)
                }
                Model::Cnn => train_network(run, &device, Cnn::new(&device), AdamConfig::new().init(), 0.001),
                Model::Mlp => train_network(run, &device, Mlp::new(&device), SgdConfig::new().init(), 0.01),
            }
        }
        Work::Infer { run, .. } => {
            let network = LeNet5::new(&device);
            let network = &network;
            infer(run, |batch| {
                let x = images(test_images(batch), &device);
                move || network.logits(x.clone()).into_data()
            });
        }
    }
}

fn images(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let shape = [pixels.len() / 784, 1, 28, 28];
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

fn train_network(run: Run, device: &Device, network: impl Network, mut optimizer: ModuleOptimizer, lr: f64) {
    let loss = CrossEntropyLossConfig::new().init(device);
    let mut network = Some(network);
    train(run, |pixels, labels| {
        let current = network.take().expect("put back after each step");
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), device);
        let loss = loss.forward(current.logits(images(pixels, device)), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        network = Some(optimizer.step(lr, current, gradients));
        loss.into_scalar::<f32>()
    });
}
