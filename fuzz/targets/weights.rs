//! Files of weights: whatever is read is written and read again to the same network, which classifies an image.

#![no_main]

use lenet::{PIXELS, weights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((network, provenance)) = weights::from_bytes(bytes) {
        let written = weights::to_bytes(&network, &provenance).expect("a network can be written");
        let (again, _) = weights::from_bytes(&written).expect("a written network can be read");
        assert_eq!(network.parameters(), again.parameters());
        network.probabilities(&[128; PIXELS]);
    }
});
