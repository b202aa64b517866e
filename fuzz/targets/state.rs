//! Training between two epochs: what is a state can be written to the same bytes again and again.

#![no_main]

use lenet::train::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = Checkpoint::from_bytes(bytes) {
        let written = state.to_bytes().expect("what was read can be written");
        let again = Checkpoint::from_bytes(&written).expect("what was written can be read");
        assert!(again.to_bytes().expect("what was read can be written") == written);
    }
});
