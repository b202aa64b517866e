//! Networks that were trained on all 60,000 training images of MNIST, with where they come from.
//!
//! ```
//! let (network, provenance) = lenet::pretrained::lenet5();
//! assert!(provenance.test_accuracy > Some(0.995));
//! // A straight stroke, as MNIST has them: 28x28, ink 255 on 0.
//! let one: Vec<u8> = (0..lenet::PIXELS)
//!     .map(|i| if (12..16).contains(&(i % 28)) && (4..24).contains(&(i / 28)) { 255 } else { 0 })
//!     .collect();
//! let probabilities = network.probabilities(&one)[0];
//! assert_eq!(lenet::nn::argmax(&probabilities), 1);
//! ```

use crate::{
    nn::Network,
    weights::{self, Provenance},
};

/// [`models::lenet5`](crate::models::lenet5), trained with its best recipe.
pub fn lenet5() -> (Network, Provenance) {
    read(include_bytes!("../weights/lenet5.safetensors"))
}

/// [`models::vgg`](crate::models::vgg), trained with its best recipe: slower, and more accurate.
pub fn vgg() -> (Network, Provenance) {
    read(include_bytes!("../weights/vgg.safetensors"))
}

/// [`models::handwriting`](crate::models::handwriting), trained to read other people's handwriting and to see what is no digit: less
/// accurate on MNIST, and the one that [`recognize`](crate::recognize) is made for.
pub fn handwriting() -> (Network, Provenance) {
    read(include_bytes!("../weights/handwriting.safetensors"))
}

fn read(bytes: &[u8]) -> (Network, Provenance) {
    // The files are part of the program, and a test reads them all.
    weights::from_bytes(bytes).expect("the files inside the crate are whole")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    #[test]
    fn each_is_what_it_says() {
        for ((network, provenance), architecture) in
            [(lenet5(), models::lenet5()), (vgg(), models::vgg()), (handwriting(), models::handwriting())]
        {
            let name = architecture.name().to_owned();
            assert_eq!(network.architecture().name(), name);
            let count = |architecture: &crate::nn::Architecture| {
                architecture.summary().unwrap().iter().map(|row| row.parameters).sum::<usize>()
            };
            assert_eq!(count(network.architecture()), count(&architecture));
            assert_eq!(provenance.seed, 0, "{name}: no picking of seeds");
            assert!(
                !provenance.interrupted && provenance.validation.is_none(),
                "{name}: all images, all epochs"
            );
            assert_ne!(network.temperature(), 1.0, "{name}: calibrated");
        }
    }
}
