//! Templates of forms as TOML: the fields of a valid template lie in its area.

#![no_main]

use lenet_cli::form_template;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(template) = form_template::parse(text) {
        assert!(!template.fields.is_empty());
        for [left, top, width, height] in template.fields.iter().map(|field| field.region) {
            assert!(left >= 0.0 && top >= 0.0 && left + width < 1.001 && top + height < 1.001);
        }
    }
});
