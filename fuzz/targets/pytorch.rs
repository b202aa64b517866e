//! Files of `torch.save`: a pickle and an archive are read without a panic, and what is read is a safetensors file.
//!
//! The input is a whole archive, or a pickle that is put into one with a storage of 64 bytes.

#![no_main]

use std::io::{Cursor, Write};

use lenet::pytorch::to_safetensors;
use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fuzz_target!(|bytes: &[u8]| {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [("model/data.pkl", bytes), ("model/data/0", &[0; 64])] {
        archive.start_file(name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    let archive = archive.finish().unwrap().into_inner();
    for file in [bytes, &archive] {
        if let Ok(converted) = to_safetensors(file) {
            SafeTensors::deserialize(&converted).unwrap();
        }
    }
});
