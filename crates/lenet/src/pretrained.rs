//! Embedded weights, trained with the 60,000 training images of MNIST, with their provenance.
//!
//! ```
//! let (network, provenance) = lenet::pretrained::lenet5();
//! assert!(provenance.test_accuracy > Some(0.995));
//! // A vertical stroke as in MNIST: 28x28 pixels, 255 is ink and 0 is paper.
//! let one: Vec<u8> = (0..lenet::PIXELS)
//!     .map(|i| if (12..16).contains(&(i % 28)) && (4..24).contains(&(i / 28)) { 255 } else { 0 })
//!     .collect();
//! let probabilities = network.probabilities(&one);
//! assert_eq!(lenet::nn::argmax(&probabilities), 1);
//! ```

use crate::{
    nn::Network,
    weights::{self, Provenance},
};

/// Returns the weights of a name: `lenet5`, `vgg`, `handwriting`, `micro`, `ink` or `marks`.
pub fn by_name(name: &str) -> Option<(Network, Provenance)> {
    Some(match name {
        "lenet5" => lenet5(),
        "vgg" => vgg(),
        "handwriting" => handwriting(),
        "micro" => micro(),
        "ink" => ink(),
        "marks" => marks(),
        _ => return None,
    })
}

/// Returns [`models::lenet5`](crate::models::lenet5), trained with its most accurate recipe.
pub fn lenet5() -> (Network, Provenance) {
    load(include_bytes!("../weights/lenet5.safetensors"))
}

/// Returns [`models::vgg`](crate::models::vgg), trained with its most accurate recipe. It is slower than LeNet-5 and more
/// accurate.
pub fn vgg() -> (Network, Provenance) {
    load(include_bytes!("../weights/vgg.safetensors"))
}

/// Returns [`models::vgg_wide`](crate::models::vgg_wide), trained for handwriting unlike MNIST's, with an outlier class.
///
/// These are the weights for [`recognize`](crate::recognize). Their accuracy on MNIST is below that of [`vgg`]. Their
/// architecture has the name `handwriting`, because the file was written before `vgg_wide` had its name.
pub fn handwriting() -> (Network, Provenance) {
    load(include_bytes!("../weights/handwriting.safetensors"))
}

/// Returns [`models::micro`](crate::models::micro), trained with its most accurate recipe.
pub fn micro() -> (Network, Provenance) {
    load(include_bytes!("../weights/micro.safetensors"))
}

/// Returns [`models::ink`](crate::models::ink), which tells ink from rules, trained by `lenet train ink --seed 0 --f16` on
/// [page patches](crate::data::synthetic::page::PagePatch) with digits of MNIST's training images.
///
/// [`Provenance::test_accuracy`] is the F1 score of the pixels that show ink, on patches with digits of MNIST's test images.
pub fn ink() -> (Network, Provenance) {
    load(include_bytes!("../weights/ink.safetensors"))
}

/// Returns [`models::marks`](crate::models::marks), which tells marks from digits, trained by `lenet train marks --seed 0 --f16` on
/// [parts of lines](crate::data::synthetic::MarkSample) with digits of MNIST's training images.
///
/// [`Provenance::test_accuracy`] is that on parts of lines with digits of MNIST's test images.
pub fn marks() -> (Network, Provenance) {
    load(include_bytes!("../weights/marks.safetensors"))
}

fn load(bytes: &[u8]) -> (Network, Provenance) {
    // A test reads all embedded files.
    weights::from_bytes(bytes).expect("a valid embedded file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::INK_NETWORK_NORMALIZE, models, nn::Architecture};

    #[test]
    fn embedded_weights_have_the_documented_architecture_and_provenance() {
        for name in ["lenet5", "vgg", "handwriting", "micro", "ink", "marks"] {
            let (network, provenance) = by_name(name).unwrap();
            let architecture = models::by_name(name).unwrap();
            assert_eq!(network.architecture().name(), name);
            let parameters = |architecture: &Architecture| {
                architecture.summary().unwrap().iter().map(|row| row.parameters).sum::<usize>()
            };
            assert_eq!(parameters(network.architecture()), parameters(&architecture));
            assert_eq!(provenance.seed, 0, "{name}: the first seed, not the best");
            assert!(
                !provenance.interrupted && provenance.holdout.is_none(),
                "{name}: all images, all epochs"
            );
            let is_calibrated = network.temperature() != 1.0;
            assert_eq!(
                is_calibrated,
                !["ink", "marks"].contains(&name),
                "{name}: digit networks are calibrated"
            );
        }
        assert_eq!(ink().0.normalization(), INK_NETWORK_NORMALIZE);
        assert!(by_name("mlp").is_none());
    }
}
