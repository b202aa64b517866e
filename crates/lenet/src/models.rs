//! The architectures that the program knows by name: those of the tutorial, with its names of layers, and a stronger one.

use crate::{
    SIDE,
    nn::{Architecture, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Layer, Linear, MaxPool2d},
};

/// One hidden layer as wide as the image: 623,290 parameters.
pub fn mlp() -> Architecture {
    Architecture::new("mlp")
        .layer("flatten", Layer::Flatten)
        .layer("layer1", Linear::new(784, 784))
        .layer("relu", Layer::ReLU)
        .layer("layer2", Linear::new(784, 10))
}

/// One convolution, overlapping max-pooling and a wide hidden layer: 934,798 parameters.
pub fn cnn() -> Architecture {
    Architecture::new("cnn")
        .layer("conv", Conv2d::new(1, 10, 5).padding(2))
        .layer("relu1", Layer::ReLU)
        .layer("pool", MaxPool2d::new(2).stride(1))
        .layer("dropout", Dropout::new(0.2))
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(27 * 27 * 10, 128))
        .layer("relu2", Layer::ReLU)
        .layer("output", Linear::new(128, 10))
}

/// LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, section II.B) as it is taught today, every map of the second
/// convolution joined to all of the first: 61,706 parameters.
pub fn lenet5() -> Architecture {
    Architecture::new("lenet5")
        .layer("conv1", Conv2d::new(1, 6, 5).padding(2))
        .layer("tanh1", Layer::Tanh)
        .layer("pool1", AvgPool2d::new(2))
        .layer("conv2", Conv2d::new(6, 16, 5))
        .layer("tanh2", Layer::Tanh)
        .layer("pool2", AvgPool2d::new(2))
        .layer("conv3", Conv2d::new(16, 120, 5))
        .layer("tanh3", Layer::Tanh)
        .layer("flatten", Layer::Flatten)
        .layer("fc1", Linear::new(120, 84))
        .layer("tanh4", Layer::Tanh)
        .layer("fc2", Linear::new(84, 10))
}

/// Pairs of 3x3 convolutions between poolings, after Simonyan and Zisserman 2015 (arXiv:1409.1556), each with batch
/// normalisation: 93,990 parameters, 8.6 million multiply-adds.
pub fn vgg() -> Architecture {
    stages("vgg", &[&[20, 20], &[40, 40], &[80]])
}

/// As [`vgg`], with more maps and a convolution that sees the whole image, for what there is to know beyond MNIST: 251,242
/// parameters, 25 million multiply-adds.
pub fn handwriting() -> Architecture {
    stages("handwriting", &[&[32, 32], &[64, 64], &[96, 96]])
}

/// Convolutions to so many maps at full size, at half and so on.
fn stages(name: &str, stages: &[&[usize]]) -> Architecture {
    let (mut architecture, mut inputs, mut n, mut side) = (Architecture::new(name), 1, 0, SIDE);
    for (stage, maps) in stages.iter().enumerate() {
        if stage > 0 {
            architecture = architecture.layer(format!("pool{stage}"), MaxPool2d::new(2));
            side /= 2;
        }
        for &outputs in *maps {
            n += 1;
            architecture = architecture
                .layer(format!("conv{n}"), Conv2d::new(inputs, outputs, 3).padding(1))
                .layer(format!("bn{n}"), BatchNorm2d::new(outputs))
                .layer(format!("relu{n}"), Layer::ReLU);
            inputs = outputs;
        }
    }
    architecture
        .layer("flatten", Layer::Flatten)
        .layer("dropout", Dropout::new(0.2))
        .layer("fc", Linear::new(side * side * inputs, 10))
}
