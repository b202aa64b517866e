//! Architectures by name: the three of the PyTorch tutorial, with its names of layers, two VGG-style networks, one for
//! microcontrollers, one that tells ink from rules, and one that tells marks.
//!
//! [`ink`] takes parts of pages and returns two logits for each pixel, [`marks`] takes parts of lines. All others take images
//! `(1, 28, 28)` and return ten logits. [`by_name`] finds one.

use crate::{
    CLASSES, SIDE,
    data::{
        INPUT_SHAPE, MARK_INPUT_SHAPE,
        synthetic::page::{self, LABEL_NAMES},
    },
    image::Mark,
    nn::{
        Architecture, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Layer, Linear, MaxPool2d, PixelShuffle, Shape,
    },
};

/// The probability of dropout, unless a recipe overrides it.
const DROPOUT: f32 = 0.2;

/// Returns the architecture of a name: `mlp`, `cnn`, `lenet5`, `vgg`, `vgg_wide`, or its former name `handwriting`,
/// `micro`, `ink`, and `marks`.
pub fn by_name(name: &str) -> Option<Architecture> {
    Some(match name {
        "mlp" => mlp(),
        "cnn" => cnn(),
        "lenet5" => lenet5(),
        "vgg" => vgg(),
        "vgg_wide" | "handwriting" => vgg_wide(),
        "micro" => micro(),
        "ink" => ink(),
        "marks" => marks(),
        _ => return None,
    })
}

/// Returns a multilayer perceptron with one hidden layer of 784 features: 623,290 parameters.
pub fn mlp() -> Architecture {
    Architecture::new("mlp", INPUT_SHAPE, CLASSES)
        .layer("flatten", Layer::Flatten)
        .layer("layer1", Linear::new(784, 784))
        .layer("relu", Layer::ReLU)
        .layer("layer2", Linear::new(784, 10))
}

/// Returns a network of one convolution, overlapping max-pooling and a hidden layer of 128 features: 934,798 parameters.
pub fn cnn() -> Architecture {
    Architecture::new("cnn", INPUT_SHAPE, CLASSES)
        .layer("conv", Conv2d::new(1, 10, 5).padding(2))
        .layer("relu1", Layer::ReLU)
        .layer("pool", MaxPool2d::new(2).stride(1))
        .layer("dropout", Dropout::new(DROPOUT))
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(27 * 27 * 10, 128))
        .layer("relu2", Layer::ReLU)
        .layer("output", Linear::new(128, 10))
}

/// Returns LeNet-5 (Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
/// recognition", 1998, section II.B): 61,706 parameters.
///
/// As in most implementations today, and unlike in the paper, each map of the second convolution is connected to all maps of the
/// first.
pub fn lenet5() -> Architecture {
    Architecture::new("lenet5", INPUT_SHAPE, CLASSES)
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

/// Returns a network of 3x3 convolutions between poolings (K. Simonyan and A. Zisserman, 2015, arXiv:1409.1556), with batch
/// normalization: 93,990 parameters, 8.6 million multiply-adds.
pub fn vgg() -> Architecture {
    vgg_style("vgg", &[&[20, 20], &[40, 40], &[80]])
}

/// Returns a network like [`vgg`] with more channels and a second convolution at the lowest resolution: 251,242 parameters,
/// 25 million multiply-adds. It has the capacity for handwriting unlike MNIST's.
pub fn vgg_wide() -> Architecture {
    vgg_style("vgg_wide", &[&[32, 32], &[64, 64], &[96, 96]])
}

/// Returns a VGG-style network. `channels` are the output channels of each convolution at full, half and quarter resolution.
fn vgg_style(name: &str, channels: &[&[usize]]) -> Architecture {
    let (mut architecture, mut inputs, mut number, mut side) =
        (Architecture::new(name, INPUT_SHAPE, CLASSES), 1, 0, SIDE);
    for (level, channels) in channels.iter().enumerate() {
        if level > 0 {
            architecture = architecture.layer(format!("pool{level}"), MaxPool2d::new(2));
            side /= 2;
        }
        for &outputs in *channels {
            number += 1;
            architecture = architecture
                .layer(format!("conv{number}"), Conv2d::new(inputs, outputs, 3).padding(1))
                .layer(format!("bn{number}"), BatchNorm2d::new(outputs))
                .layer(format!("relu{number}"), Layer::ReLU);
            inputs = outputs;
        }
    }
    architecture
        .layer("flatten", Layer::Flatten)
        .layer("dropout", Dropout::new(DROPOUT))
        .layer("fc", Linear::new(side * side * inputs, 10))
}

/// Returns a fully convolutional network that tells for each pixel whether it shows ink and whether it shows a rule
/// ([`LABEL_NAMES`]): 28,472 parameters, 65 million multiply-adds for a patch of 96x96.
///
/// Its input is the [local contrast](crate::image::local_contrast()) of a page. All layers work at half resolution, which costs a
/// quarter, and the last one returns the four pixels of each position as channels (sub-pixel convolution: W. Shi et al., 2016,
/// arXiv:1609.05158). Dilated convolutions (F. Yu and V. Koltun, 2016, arXiv:1511.07122) let each pixel depend on 72x72.
/// [`Network::with_input_size`](crate::nn::Network::with_input_size) runs it on larger parts of a page.
pub fn ink() -> Architecture {
    const CHANNELS: usize = 24;
    let input = Shape { channels: 1, height: page::PATCH_SIDE, width: page::PATCH_SIDE };
    let convolutions = [Conv2d::new(1, CHANNELS, 4).stride(2).padding(1)].into_iter();
    let dilated = [1, 2, 4, 8, 1]
        .map(|dilation| Conv2d::new(CHANNELS, CHANNELS, 3).dilation(dilation).padding(dilation));
    let mut architecture = Architecture::dense_prediction("ink", input, LABEL_NAMES.len());
    for (number, convolution) in (1..).zip(convolutions.chain(dilated)) {
        architecture = architecture
            .layer(format!("conv{number}"), convolution)
            .layer(format!("bn{number}"), BatchNorm2d::new(CHANNELS))
            .layer(format!("relu{number}"), Layer::ReLU);
    }
    architecture
        .layer("conv7", Conv2d::new(CHANNELS, 4 * LABEL_NAMES.len(), 3).padding(1))
        .layer("shuffle", PixelShuffle::new(2))
}

/// Returns a network that classifies [windows](crate::image::mark_window) of a line as one of [`Mark::ALL`], or as something
/// else, which is the implicit outlier class: 14,517 parameters, 1.2 million multiply-adds.
pub fn marks() -> Architecture {
    let architecture =
        Architecture::new("marks", MARK_INPUT_SHAPE, Mark::ALL.len()).with_implicit_outlier_class();
    strided_vgg(architecture, [12, 24, 32])
}

/// Returns a network for microcontrollers: 5,082 parameters, 302,072 multiply-adds. As [C source](crate::c_source) of 8 bits it
/// has 5.3 kB of constants and 3.9 kB of activations.
pub fn micro() -> Architecture {
    strided_vgg(Architecture::new("micro", INPUT_SHAPE, CLASSES), [8, 12, 20])
}

/// Adds three convolutions, of which the first halves the resolution, because that costs a quarter, and a pooling follows each
/// of the others.
fn strided_vgg(mut architecture: Architecture, channels: [usize; 3]) -> Architecture {
    let [a, b, c] = channels;
    let convolutions = [
        Conv2d::new(1, a, 4).stride(2).padding(1),
        Conv2d::new(a, b, 3).padding(1),
        Conv2d::new(b, c, 3).padding(1),
    ];
    for (number, convolution) in (1..).zip(convolutions) {
        architecture = architecture
            .layer(format!("conv{number}"), convolution)
            .layer(format!("bn{number}"), BatchNorm2d::new(convolution.out_channels))
            .layer(format!("relu{number}"), Layer::ReLU);
        if number > 1 {
            architecture = architecture.layer(format!("pool{number}"), MaxPool2d::new(2));
        }
    }
    let Shape { height, width, .. } = architecture.input_shape();
    let classes = architecture.output_shape().len();
    architecture
        .layer("flatten", Layer::Flatten)
        .layer("fc", Linear::new(height / 8 * (width / 8) * c, classes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_architectures() {
        for name in ["mlp", "cnn", "lenet5", "vgg", "vgg_wide", "micro", "ink", "marks"] {
            assert_eq!(by_name(name).unwrap().name(), name);
        }
        assert_eq!(by_name("handwriting"), Some(vgg_wide()));
        assert_eq!(by_name("resnet"), None);
    }
}
