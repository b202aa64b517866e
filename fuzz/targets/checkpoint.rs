//! Checkpoint files: whatever is read is written, read again and written to the same bytes.

#![no_main]

use lenet::train::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = Checkpoint::from_bytes(bytes) {
        let written = checkpoint.to_bytes().expect("a checkpoint can be written");
        let again = Checkpoint::from_bytes(&written).expect("a written checkpoint can be read");
        assert!(again.to_bytes().expect("a checkpoint can be written") == written);
    }
});
