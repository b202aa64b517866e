//! Networks in files: what is one can be written, read again, and answers.

#![no_main]

use lenet::{PIXELS, checkpoint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((network, provenance)) = weights::from_bytes(bytes) {
        let written = weights::to_bytes(&network, &provenance).expect("what was read can be written");
        let (again, _) = weights::from_bytes(&written).expect("what was written can be read");
        assert_eq!(network.parameters(), again.parameters());
        network.probabilities(&[128; PIXELS]);
    }
});
