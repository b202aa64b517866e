//! Recipes as TOML: what is one can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/lenet-cli/src/recipe/parse.rs"]
mod parse;

fuzz_target!(|text: &str| {
    if let Ok(recipe) = parse::parse(text) {
        let written = toml::to_string(&recipe).expect("what was read can be written");
        assert_eq!(parse::parse(&written).expect("what was written can be read"), recipe);
        recipe.learning_rate(0, recipe.epochs);
    }
});
