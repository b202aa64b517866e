//! The architectures that the program knows by name: those of the tutorial, with its names of layers, and a stronger one.

use crate::nn::{Architecture, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Layer, Linear, MaxPool2d};

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
    pairs("vgg", [20, 40, 80])
}

/// As [`vgg`], with more maps, for what there is to know beyond MNIST: 168,010 parameters, 21 million multiply-adds.
pub fn handwriting() -> Architecture {
    pairs("handwriting", [32, 64, 96])
}

/// Convolutions to so many maps at full, half and quarter size.
fn pairs(name: &str, [full, half, quarter]: [usize; 3]) -> Architecture {
    let convolve = |architecture: Architecture, n: usize, inputs, outputs| {
        architecture
            .layer(format!("conv{n}"), Conv2d::new(inputs, outputs, 3).padding(1))
            .layer(format!("bn{n}"), BatchNorm2d::new(outputs))
            .layer(format!("relu{n}"), Layer::ReLU)
    };
    let architecture = convolve(Architecture::new(name), 1, 1, full);
    let architecture = convolve(architecture, 2, full, full).layer("pool1", MaxPool2d::new(2));
    let architecture = convolve(architecture, 3, full, half);
    let architecture = convolve(architecture, 4, half, half).layer("pool2", MaxPool2d::new(2));
    convolve(architecture, 5, half, quarter)
        .layer("flatten", Layer::Flatten)
        .layer("dropout", Dropout::new(0.2))
        .layer("fc", Linear::new(7 * 7 * quarter, 10))
}
