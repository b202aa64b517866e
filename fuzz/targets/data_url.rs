//! Images in `data:` URLs.

#![no_main]

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet_cli::decode::data_url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match data_url::decode(bytes) {
        Ok(image) => assert!(data_url::is_data_url(bytes) && image.len() <= bytes.len()),
        Err(error) => assert!(error.to_string().len() < 1000),
    }
    let url = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes));
    assert_eq!(data_url::decode(url.as_bytes()).expect("a valid URL"), bytes);
});
