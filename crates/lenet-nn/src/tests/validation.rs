//! Architectures that [`Network::new`] rejects.

use super::fixtures::digits;
use crate::{Conv2d, Dropout, Layer, Linear, MaxPool2d, Network, Normalize, PixelShuffle};

#[test]
fn rejects_impossible_architectures() {
    let network = |layers: &[(&str, Layer)], normalize| {
        let architecture = digits("test");
        let architecture =
            layers.iter().fold(architecture, |architecture, (name, layer)| architecture.layer(*name, *layer));
        Network::new(architecture, normalize, 0).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let linear = |inputs, outputs| Layer::from(Linear::new(inputs, outputs));
    for (layers, error) in [
        (vec![], "layer (none): expected logits of (10, 1, 1), found (1, 28, 28)"),
        (vec![("a", Layer::Flatten)], "layer a: expected logits of (10, 1, 1), found (784, 1, 1)"),
        (vec![("a", linear(784, 10))], "layer a: expected 784 features, found (1, 28, 28)"),
        (
            vec![("a", Layer::ReLU), ("a", Layer::ReLU)],
            "layer a: expected a name of its own, found another layer",
        ),
        (vec![("a", Conv2d::new(3, 6, 5).into())], "layer a: expected 3 channels, found (1, 28, 28)"),
        (
            vec![("a", Conv2d::new(1, 6, 29).into())],
            "layer a: expected at least 29 x 29 pixels, found (1, 28, 28)",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 5).padding(5).into())],
            "layer a: expected padding below the kernel's extent of 5, found 5",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 5).dilation(2).padding(9).into())],
            "layer a: expected padding below the kernel's extent of 9, found 9",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 5).dilation(7).into())],
            "layer a: expected at least 29 x 29 pixels, found (1, 28, 28)",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 5).dilation(0).into())],
            "layer a: expected dilation from 1 to 65536, found 0",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 65536).dilation(65536).into())],
            "layer a: expected the kernel's extent from 1 to 65536, found 4294901761",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 1).into()), ("b", PixelShuffle::new(2).into())],
            "layer b: expected a multiple of 2 x 2 channels, found (6, 28, 28)",
        ),
        (
            vec![("a", PixelShuffle::new(0).into())],
            "layer a: expected upscale_factor from 1 to 65536, found 0",
        ),
        (
            vec![("a", Conv2d::new(1, 6, 5).stride(0).into())],
            "layer a: expected stride from 1 to 65536, found 0",
        ),
        (vec![("a", Conv2d::new(1, 65536, 5).into())], "layer a: expected at most 1048576 elements and"),
        (
            // Few parameters, and each setting is within its limits.
            vec![("a", Conv2d::new(1, 1000, 1).into()), ("b", MaxPool2d::new(1).into())],
            "layer b: expected at most 1048576 elements and",
        ),
        (vec![("a", MaxPool2d::new(0).into())], "layer a: expected kernel_size from 1 to 65536, found 0"),
        (vec![("a", Dropout::new(1.0).into())], "layer a: expected p of at least 0 and below 1, found 1"),
    ] {
        let found = network(&layers, Normalize::UNIT);
        assert!(found.starts_with(error), "expected {error}, found {found}");
    }
    let names: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let deep: Vec<(&str, Layer)> = names.iter().map(|name| (name.as_str(), Layer::Tanh)).collect();
    assert_eq!(network(&deep, Normalize::UNIT), "layer 256: expected at most 256 layers, found 300");
    let valid = [("flatten", Layer::Flatten), ("fc", linear(784, 10))];
    assert_eq!(network(&valid, Normalize::UNIT), "");
    for std in [0.0, -1.0, 1e-44, f32::NAN] {
        let found = network(&valid, Normalize { mean: 0.5, std });
        assert!(found.starts_with("normalize: expected a mean and a positive std"), "{std}: {found}");
    }
}
